"""The campaign, the planner, wildcard constraints and helpers of all rules."""

import os
import sys
from pathlib import Path

from darkfactory.config.check import check_campaign
from darkfactory.config.points import POINT_PATTERN
from darkfactory.config.resolve import load_campaign
from darkfactory.config.site import check_executor, load_site
from darkfactory.core.errors import DarkfactoryError
from darkfactory.execute.lock import record_run
from darkfactory.execute.run import ENVIRONMENT, start_cluster
from darkfactory.pipeline.layout import PATTERNS
from darkfactory.pipeline.plan import Planner, stage_code

try:
    PLAN = Planner(
        load_campaign(
            config["campaign"],
            config_dir=config.get("config_dir", "config"),
            overrides=[config.get("overrides") or {}],
        )
    )
    check_campaign(PLAN.campaign)
    # where the work is done: named by the profile, never part of a rule
    SITE = load_site(config["site"]) if config.get("site") else None
    # files of external samples; what is missing is told before anything runs
    NTUPLES = {sample: PLAN.ntuples(sample) for sample in PLAN.external_samples()}
except DarkfactoryError as error:
    sys.exit(f"error: {error}")

CAMPAIGN = PLAN.name
# imported by the workers at their start, so that the first chunks do not wait for it
WARM = ("generate", "simulate", "skim", "trigger", "preselect", "model", "limits")
LOG = "logs/{campaign}/"
# which samples a rule makes; (?!) matches nothing
EXTERNAL = "|".join(NTUPLES) or "(?!)"
GENERATED = "|".join(s for s in PLAN.campaign.samples if s not in NTUPLES) or "(?!)"
SAMPLE_LOG = LOG + "samples/{sample}/{block}/"
ANALYSIS_LOG = LOG + "{search}/{dataset}/"


wildcard_constraints:
    campaign=CAMPAIGN,
    sample="|".join(PLAN.campaign.samples),
    # looks ahead: a dataset of another search is no path of the workflow
    search="|".join(f"{s}(?=/{d}(?:/|$))" for s, d in PLAN.campaign.searches),
    dataset="|".join(dict.fromkeys(d for _, d in PLAN.campaign.searches)),
    combination="|".join(PLAN.campaign.combinations) or "(?!)",
    period="|".join(PLAN.periods.periods),
    block=r"all|b\d{3}|" + POINT_PATTERN,


def spec_of(name):
    """Provider of a rule's resolved configuration, so that only the jobs that a change touches run again."""

    def provider(wildcards):
        return getattr(PLAN, name)(wildcards_of(wildcards))

    return provider


def wildcards_of(wildcards):
    """Plain mapping of wildcards."""
    return {k: str(v) for k, v in wildcards.items()}


def lift_submission_limit():
    """Take the limit of submissions a second from local jobs, which need none.

    The engine looks again a second after every job that finishes, and a second after every such look: hundreds of jobs
    later that is a good part of a core.
    """
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


def start_run_cluster():
    """One cluster for the run, unless one is given by the environment or jobs bring their own."""
    record_run(Path())
    if ENVIRONMENT in os.environ:
        return
    try:
        check_executor(SITE, workflow.local_exec)
        handle = start_cluster(
            workflow.cores if workflow.local_exec else 1,
            preload=[f"darkfactory.pipeline.{stage}" for stage in WARM],
            site=None if SITE is None else SITE.model_dump(mode="json"),
            project=Path(),
        )
    except DarkfactoryError as error:
        sys.exit(f"error: {error}")
    os.environ.update(handle.environment())
    # kept on the workflow object: the handle holds the pipe whose end is the cluster's end
    workflow.darkfactory_cluster = handle


def stop_run_cluster():
    """End the cluster that this run started."""
    handle = getattr(workflow, "darkfactory_cluster", None)
    if handle is not None:
        handle.close()
        del workflow.darkfactory_cluster
