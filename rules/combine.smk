"""Searches of one model together."""


def combined_workspaces(wildcards):
    """Workspaces of all inputs: blocks of their scans, and single points."""
    return PLAN.combination_paths(wildcards_of(wildcards), "workspace")


def combined_limits(wildcards):
    """Limits of the same blocks and points."""
    return PLAN.combination_paths(wildcards_of(wildcards), "limits")


rule combine:
    input:
        workspaces=combined_workspaces,
        limits=combined_limits,
    output:
        couplings=PATTERNS["combined_couplings"],
        workspaces=PATTERNS["combined_workspaces"],
        combination=PATTERNS["combination"],
    log:
        LOG + "combinations/{combination}.log",
    benchmark:
        LOG.replace("logs/", "logs/benchmarks/", 1) + "combinations/{combination}.tsv"
    threads: 1
    params:
        stage="combine",
        spec=spec_of("combine"),
        code=stage_code("combine"),
    message:
        "combine {wildcards.combination}"
    script:
        "../workflow/scripts/stage.py"
