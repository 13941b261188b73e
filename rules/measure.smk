"""A number with its uncertainty, from the selected candidates of all generated values."""


rule measure:
    input:
        signals=selected_grid,
        backgrounds=selected_backgrounds,
    output:
        measurement=PATTERNS["measurement"],
        figures=PATTERNS["measurement_figures"],
    log:
        ANALYSIS_LOG + "measure.log",
    benchmark:
        ANALYSIS_LOG.replace("logs/", "logs/benchmarks/", 1) + "measure.tsv"
    threads: 1
    params:
        stage="measure",
        spec=spec_of("measure"),
        code=stage_code("measure"),
    message:
        "measure {wildcards.search} {wildcards.dataset}"
    script:
        "../workflow/scripts/stage.py"
