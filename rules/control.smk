"""Corrections from a control sample: data over simulation."""


def selected_data(wildcards):
    """Selected candidates of what stands for data."""
    return PLAN.selected_data(wildcards_of(wildcards))


rule control:
    input:
        data=selected_data,
        simulation=selected_backgrounds,
    output:
        corrections=PATTERNS["corrections"],
        control=PATTERNS["control"],
        figures=PATTERNS["control_figures"],
    log:
        ANALYSIS_LOG + "control.log",
    benchmark:
        ANALYSIS_LOG.replace("logs/", "logs/benchmarks/", 1) + "control.tsv"
    threads: 1
    params:
        stage="control",
        spec=spec_of("control"),
        code=stage_code("control"),
    message:
        "control {wildcards.search} {wildcards.dataset}"
    script:
        "../workflow/scripts/stage.py"
