"""Detector response."""


rule simulate:
    input:
        truth=PATTERNS["truth"],
    output:
        manifest=PATTERNS["reco"],
    log:
        SAMPLE_LOG + "simulate.log",
    benchmark:
        SAMPLE_LOG.replace("logs/", "logs/benchmarks/", 1) + "simulate.tsv"
    wildcard_constraints:
        sample=GENERATED,
    threads: 1
    params:
        stage="simulate",
        spec=spec_of("simulate"),
        code=stage_code("simulate"),
    message:
        "simulate {wildcards.sample} {wildcards.block}"
    script:
        "../workflow/scripts/stage.py"
