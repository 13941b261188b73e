#!/usr/bin/env bash
# mini-slurm.sh install | start DIR | stop DIR | status DIR: a Slurm of one node on loopback, for tests.
# Needs root (slurmd runs job steps as the submitting user) and the Debian packages that `install` gets. No systemd, no
# cgroups: nothing but its own processes is touched. MINI_SLURM_{CPUS,MEM_MB,PORT} change its size and ports.
set -euo pipefail
cmd=${1:?install|start|stop|status}
if [ "$cmd" = install ]; then
  apt-get update -qq
  exec apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client
fi
D=$(realpath -m "${2:?state directory}")
# more than there are: jobs of several cores must fit on a small machine
CPUS=${MINI_SLURM_CPUS:-8}
MEM=${MINI_SLURM_MEM_MB:-$(awk '/MemTotal/{print int($2/1024*0.8)}' /proc/meminfo)}
PORT=${MINI_SLURM_PORT:-26817}
export SLURM_CONF="$D/slurm.conf"

conf() {
  mkdir -p "$D"/{state,spool,log,run}
  # no munge: this cluster listens on loopback only and lives as long as a test
  cat > "$D/slurm.conf" <<C
ClusterName=mini
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort=$PORT
SlurmdPort=$((PORT + 1))
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool
SlurmctldPidFile=$D/run/slurmctld.pid
SlurmdPidFile=$D/run/slurmd.pid
SlurmctldLogFile=$D/log/slurmctld.log
SlurmdLogFile=$D/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$D/log/jobcomp.txt
EpilogMsgTime=0
CompleteWait=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0,bf_interval=2
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=5
MinJobAge=300
EnforcePartLimits=ALL
MailProg=/bin/true
InactiveLimit=0
NodeName=localhost NodeHostname=$(hostname) NodeAddr=127.0.0.1 CPUs=$CPUS RealMemory=$MEM State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE DefMemPerCPU=1000 State=UP
C
}

wait_for() { # seconds, command...
  local n=$(($1 * 5))
  shift
  for ((i = 0; i < n; i++)); do
    "$@" > /dev/null 2>&1 && return 0
    sleep 0.2
  done
  echo "timed out: $*" >&2
  return 1
}
node_idle() { sinfo -h -o %T | grep -qE 'idle|mixed|alloc'; }

case $cmd in
  start)
    conf
    slurmctld -i -f "$SLURM_CONF"
    slurmd -f "$SLURM_CONF"
    wait_for 60 node_idle || {
      tail -n 20 "$D/log/slurmctld.log" "$D/log/slurmd.log" >&2
      exit 1
    }
    echo "export SLURM_CONF=$SLURM_CONF"
    ;;
  stop)
    scancel --user="$(id -un)" 2> /dev/null || true
    for p in slurmd slurmctld; do
      [ -f "$D/run/$p.pid" ] || continue
      pid=$(cat "$D/run/$p.pid")
      kill "$pid" 2> /dev/null || true
      for _ in $(seq 50); do kill -0 "$pid" 2> /dev/null || break; sleep 0.1; done
    done
    ;;
  status)
    sinfo
    squeue
    ;;
esac
