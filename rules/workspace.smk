"""HistFactory workspaces of the points of a block."""


rule workspace:
    input:
        signals=selected_block,
        model=PATTERNS["model"],
        observed=PATTERNS["observed"],
    output:
        workspace=PATTERNS["workspace"],
    log:
        ANALYSIS_LOG + "workspace.{block}.log",
    benchmark:
        ANALYSIS_LOG.replace("logs/", "logs/benchmarks/", 1) + "workspace.{block}.tsv"
    threads: 1
    params:
        stage="workspace",
        spec=spec_of("workspace"),
        code=stage_code("workspace"),
    message:
        "workspace {wildcards.search} {wildcards.dataset} {wildcards.block}"
    script:
        "../workflow/scripts/stage.py"
