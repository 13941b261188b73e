"""CLs limits of the points of a block."""


rule limits:
    input:
        workspace=PATTERNS["workspace"],
    output:
        limits=PATTERNS["limits"],
    log:
        ANALYSIS_LOG + "limits.{block}.log",
    benchmark:
        ANALYSIS_LOG.replace("logs/", "logs/benchmarks/", 1) + "limits.{block}.tsv"
    threads: 1
    params:
        stage="limits",
        spec=spec_of("limits"),
        code=stage_code("limits"),
    message:
        "limits {wildcards.search} {wildcards.dataset} {wildcards.block}"
    script:
        "../workflow/scripts/stage.py"
