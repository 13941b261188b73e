"""The whole scan of a dataset."""


def limits_blocks(wildcards):
    """Limits of all blocks."""
    w = wildcards_of(wildcards)
    return [PLAN.analysis_path("limits", w, block=b) for b in PLAN.limit_blocks(w)]


def workspace_blocks(wildcards):
    """Workspaces of all blocks."""
    w = wildcards_of(wildcards)
    return [PLAN.analysis_path("workspace", w, block=b) for b in PLAN.limit_blocks(w)]


rule scan:
    input:
        limits=limits_blocks,
        workspaces=workspace_blocks,
        model=PATTERNS["model"],
        observed=PATTERNS["observed"],
    output:
        limits_csv=PATTERNS["limits_csv"],
        scan=PATTERNS["scan"],
    log:
        ANALYSIS_LOG + "scan.log",
    benchmark:
        ANALYSIS_LOG.replace("logs/", "logs/benchmarks/", 1) + "scan.tsv"
    threads: 1
    params:
        stage="scan",
        spec=spec_of("scan"),
        code=stage_code("scan"),
    message:
        "scan {wildcards.search} {wildcards.dataset}"
    script:
        "../workflow/scripts/stage.py"
