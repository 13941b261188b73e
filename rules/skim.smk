"""Loose preselections shared by searches."""


rule skim:
    input:
        reco=PATTERNS["reco"],
    output:
        manifest=PATTERNS["skim"],
    log:
        SAMPLE_LOG + "skim.log",
    benchmark:
        SAMPLE_LOG.replace("logs/", "logs/benchmarks/", 1) + "skim.tsv"
    threads: 1
    params:
        stage="skim",
        spec=spec_of("skim"),
        code=stage_code("skim"),
    message:
        "skim {wildcards.sample} {wildcards.block}"
    script:
        "../workflow/scripts/stage.py"
