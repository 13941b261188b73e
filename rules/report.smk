"""Figures of every dataset, and the page of the campaign."""


def network_of_dataset(wildcards):
    """The network of a dataset, where there is one."""
    return network_if_any(wildcards)


def figures_of_campaign(wildcards):
    """Figure lists of all datasets."""
    return [
        PLAN.analysis_path(name, {"search": s, "dataset": d})
        for s, d in PLAN.campaign.limited
        for name in (
            "figures",
            "couplings",
            "scan",
            "cutflow",
            "limits_csv",
            "efficiency",
            "model",
            "diagnostics",
        )
    ]


def measurements_of_campaign(wildcards):
    """Results of all measurements."""
    return [
        PLAN.analysis_path("measurement", {"search": s, "dataset": d})
        for s, d in PLAN.campaign.measured
    ]


def controls_of_campaign(wildcards):
    """Results of all control samples."""
    return [
        PLAN.analysis_path("control", {"search": s, "dataset": d})
        for s, d in PLAN.campaign.controlled
    ]


def rates_of_campaign(wildcards):
    """Trigger rates of the campaign's periods."""
    return [
        PATTERNS["rates"].format(campaign=CAMPAIGN, period=p)
        for p in PLAN.campaign.config.trigger_rates
    ]


def combinations_of_campaign(wildcards):
    """Index files of all combinations."""
    return [
        PATTERNS["combination"].format(campaign=CAMPAIGN, combination=c)
        for c in PLAN.campaign.combinations
    ]


rule figures:
    input:
        limits_csv=PATTERNS["limits_csv"],
        couplings=PATTERNS["couplings"],
        efficiency=PATTERNS["efficiency"],
        cutflow=PATTERNS["cutflow"],
        trigger=PATTERNS["trigger"],
        scan=PATTERNS["scan"],
        model=PATTERNS["model"],
        observed=PATTERNS["observed"],
        network=network_of_dataset,
    output:
        figures=PATTERNS["figures"],
    log:
        ANALYSIS_LOG + "figures.log",
    benchmark:
        ANALYSIS_LOG.replace("logs/", "logs/benchmarks/", 1) + "figures.tsv"
    threads: 1
    params:
        stage="figures",
        spec=spec_of("figures"),
        code=stage_code("figures"),
    message:
        "figures {wildcards.search} {wildcards.dataset}"
    script:
        "../workflow/scripts/stage.py"


rule report:
    input:
        figures=figures_of_campaign,
        measurements=measurements_of_campaign,
        controls=controls_of_campaign,
        rates=rates_of_campaign,
        combinations=combinations_of_campaign,
    output:
        report=PATTERNS["report"],
        manifest=PATTERNS["manifest"],
    log:
        LOG + "report.log",
    benchmark:
        LOG.replace("logs/", "logs/benchmarks/", 1) + "report.tsv"
    threads: 1
    params:
        stage="report",
        spec=spec_of("report"),
        code=stage_code("report"),
    message:
        "report {wildcards.campaign}"
    script:
        "../workflow/scripts/stage.py"
