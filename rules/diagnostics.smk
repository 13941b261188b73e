"""A closer look at a few fits of every dataset."""


rule diagnostics:
    input:
        scan=PATTERNS["scan"],
        workspaces=workspace_blocks,
    output:
        diagnostics=PATTERNS["diagnostics"],
    log:
        ANALYSIS_LOG + "diagnostics.log",
    benchmark:
        ANALYSIS_LOG.replace("logs/", "logs/benchmarks/", 1) + "diagnostics.tsv"
    threads: 1
    params:
        stage="diagnostics",
        spec=spec_of("diagnostics"),
        code=stage_code("diagnostics"),
    message:
        "diagnostics {wildcards.search} {wildcards.dataset}"
    script:
        "../workflow/scripts/stage.py"
