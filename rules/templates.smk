"""Binning, signal shapes, background expectation and pseudo-data of a search, once for its whole grid."""


def selected_grid(wildcards):
    """Selected signals of the whole grid."""
    return PLAN.selected_signals(wildcards_of(wildcards), "selected")


def selected_backgrounds(wildcards):
    """Selected backgrounds of a search."""
    return PLAN.selected_backgrounds(wildcards_of(wildcards), "selected")


def recorded_selected(wildcards):
    """Selected recorded data, once they are open."""
    return PLAN.recorded(wildcards_of(wildcards))


def unblinding_record(wildcards):
    """What opened them."""
    return PLAN.unblinding(wildcards_of(wildcards))


def selected_block(wildcards):
    """Selected signals of a block."""
    return PLAN.workspace_signals(wildcards_of(wildcards))


rule templates:
    input:
        signals=selected_grid,
        backgrounds=selected_backgrounds,
        recorded=recorded_selected,
        unblinding=unblinding_record,
    output:
        model=PATTERNS["model"],
        observed=PATTERNS["observed"],
        cutflow=PATTERNS["cutflow"],
        efficiency=PATTERNS["efficiency"],
        trigger=PATTERNS["trigger"],
    log:
        ANALYSIS_LOG + "templates.log",
    benchmark:
        ANALYSIS_LOG.replace("logs/", "logs/benchmarks/", 1) + "templates.tsv"
    threads: 1
    params:
        stage="model",
        spec=spec_of("model"),
        code=stage_code("model"),
    message:
        "templates {wildcards.search} {wildcards.dataset}"
    script:
        "../workflow/scripts/stage.py"
