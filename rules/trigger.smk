"""Trigger bits of a period, and the rates of its menu."""


rule trigger:
    input:
        skim=PATTERNS["skim"],
    output:
        manifest=PATTERNS["triggered"],
    log:
        SAMPLE_LOG + "trigger.{period}.log",
    benchmark:
        SAMPLE_LOG.replace("logs/", "logs/benchmarks/", 1) + "trigger.{period}.tsv"
    threads: 1
    params:
        stage="trigger",
        spec=spec_of("trigger"),
        code=stage_code("trigger"),
    message:
        "trigger {wildcards.sample} {wildcards.block} {wildcards.period}"
    script:
        "../workflow/scripts/stage.py"


def reco_of_rates(wildcards):
    """The unforced samples that a period's rates rest on."""
    samples = PLAN.campaign.config.trigger_rates[wildcards.period].samples
    return [PLAN.sample_path("reco", s, "all") for s in samples]


rule trigger_rates:
    input:
        reco=reco_of_rates,
    output:
        rates=PATTERNS["rates"],
    log:
        LOG + "trigger_rates.{period}.log",
    benchmark:
        LOG.replace("logs/", "logs/benchmarks/", 1) + "trigger_rates.{period}.tsv"
    threads: 1
    params:
        stage="rates",
        spec=spec_of("rates"),
        code=stage_code("rates"),
    message:
        "trigger rates {wildcards.period}"
    script:
        "../workflow/scripts/stage.py"
