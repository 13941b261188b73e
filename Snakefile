"""darkfactory: from generation to coupling limits. `snakemake --cores N` runs the campaign of config/config.yaml."""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/generate.smk"
include: "rules/simulate.smk"
include: "rules/ingest.smk"
include: "rules/skim.smk"
include: "rules/trigger.smk"
include: "rules/select.smk"
include: "rules/templates.smk"
include: "rules/workspace.smk"
include: "rules/limits.smk"
include: "rules/scan.smk"
include: "rules/measure.smk"
include: "rules/control.smk"
include: "rules/diagnostics.smk"
include: "rules/interpret.smk"
include: "rules/combine.smk"
include: "rules/report.smk"
include: "rules/collect.smk"


onstart:
    lift_submission_limit()
    start_run_cluster()


onsuccess:
    stop_run_cluster()


onerror:
    stop_run_cluster()


rule all:
    default_target: True
    input:
        PATTERNS["report"].format(campaign=CAMPAIGN),
        PATTERNS["manifest"].format(campaign=CAMPAIGN),
