"""External ROOT ntuples: they enter at the skim."""


def ntuples_of_sample(wildcards):
    """Files of an external sample, of a signal those of a block; remote ones are in the configuration."""
    return PLAN.ntuples(wildcards.sample, wildcards.block)


rule ingest:
    input:
        ntuples=ntuples_of_sample,
    output:
        manifest=PATTERNS["reco"],
    log:
        SAMPLE_LOG + "ingest.log",
    benchmark:
        SAMPLE_LOG.replace("logs/", "logs/benchmarks/", 1) + "ingest.tsv"
    wildcard_constraints:
        sample=EXTERNAL,
    threads: 1
    params:
        stage="ingest",
        spec=spec_of("ingest"),
        code=stage_code("ingest"),
    message:
        "ingest {wildcards.sample} {wildcards.block}"
    script:
        "../workflow/scripts/stage.py"
