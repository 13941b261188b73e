"""From cross-section limits to couplings."""


rule interpret:
    input:
        limits_csv=PATTERNS["limits_csv"],
        efficiency=PATTERNS["efficiency"],
    output:
        couplings=PATTERNS["couplings"],
    log:
        ANALYSIS_LOG + "interpret.log",
    benchmark:
        ANALYSIS_LOG.replace("logs/", "logs/benchmarks/", 1) + "interpret.tsv"
    threads: 1
    params:
        stage="interpret",
        spec=spec_of("interpret"),
        code=stage_code("interpret"),
    message:
        "interpret {wildcards.search} {wildcards.dataset}"
    script:
        "../workflow/scripts/stage.py"
