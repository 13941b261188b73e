"""Candidates of a search, its multivariate step, and its final selection."""


def triggered_sample(wildcards):
    """The sample with the trigger bits of the dataset's period."""
    w = wildcards_of(wildcards)
    return PLAN.sample_path("triggered", w["sample"], w["block"], period=PLAN.period(w))


def preselected_grid(wildcards):
    """Signals of the whole grid: networks are trained on it, whatever points are asked for."""
    return PLAN.selected_signals(wildcards_of(wildcards), "preselected")


def preselected_backgrounds(wildcards):
    """Backgrounds of a search."""
    return PLAN.selected_backgrounds(wildcards_of(wildcards), "preselected")


def network_if_any(wildcards):
    """The network, where the search has one."""
    w = wildcards_of(wildcards)
    has_one = PLAN.campaign.searches[w["search"], w["dataset"]].network is not None
    return [PLAN.analysis_path("network", w)] if has_one else []


def corrections_of_dataset(wildcards):
    """Files of corrections of control samples, where the search uses them."""
    return PLAN.correction_paths(wildcards_of(wildcards))


rule preselect:
    input:
        triggered=triggered_sample,
    output:
        manifest=PATTERNS["preselected"],
    log:
        ANALYSIS_LOG + "preselect.{sample}.{block}.log",
    benchmark:
        ANALYSIS_LOG.replace("logs/", "logs/benchmarks/", 1)
        + "preselect.{sample}.{block}.tsv"
    threads: 1
    params:
        stage="preselect",
        spec=spec_of("preselect"),
        code=stage_code("preselect"),
    message:
        "preselect {wildcards.search} {wildcards.dataset} {wildcards.sample} {wildcards.block}"
    script:
        "../workflow/scripts/stage.py"


rule train_network:
    input:
        signals=preselected_grid,
        backgrounds=preselected_backgrounds,
    output:
        network=PATTERNS["network"],
    log:
        ANALYSIS_LOG + "train_network.log",
    benchmark:
        ANALYSIS_LOG.replace("logs/", "logs/benchmarks/", 1) + "train_network.tsv"
    threads: 1
    params:
        stage="network",
        spec=spec_of("network"),
        code=stage_code("network"),
    message:
        "train {wildcards.search} {wildcards.dataset}"
    script:
        "../workflow/scripts/stage.py"


rule select:
    input:
        preselected=PATTERNS["preselected"],
        network=network_if_any,
        corrections=corrections_of_dataset,
    output:
        manifest=PATTERNS["selected"],
    log:
        ANALYSIS_LOG + "select.{sample}.{block}.log",
    benchmark:
        ANALYSIS_LOG.replace("logs/", "logs/benchmarks/", 1)
        + "select.{sample}.{block}.tsv"
    threads: 1
    params:
        stage="select",
        spec=spec_of("select"),
        code=stage_code("select"),
    message:
        "select {wildcards.search} {wildcards.dataset} {wildcards.sample} {wildcards.block}"
    script:
        "../workflow/scripts/stage.py"
