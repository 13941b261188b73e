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
