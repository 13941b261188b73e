"""Gridpacks and truth events of every sample and block of signal points."""


rule integrate:
    output:
        manifest=PATTERNS["gridpacks"],
    log:
        SAMPLE_LOG + "integrate.log",
    benchmark:
        SAMPLE_LOG.replace("logs/", "logs/benchmarks/", 1) + "integrate.tsv"
    threads: 1
    params:
        stage="integrate",
        spec=spec_of("integrate"),
        code=stage_code("integrate"),
    message:
        "integrate {wildcards.sample} {wildcards.block}"
    script:
        "../workflow/scripts/stage.py"


rule generate:
    input:
        gridpacks=PATTERNS["gridpacks"],
    output:
        manifest=PATTERNS["truth"],
    log:
        SAMPLE_LOG + "generate.log",
    benchmark:
        SAMPLE_LOG.replace("logs/", "logs/benchmarks/", 1) + "generate.tsv"
    threads: 1
    params:
        stage="generate",
        spec=spec_of("generate"),
        code=stage_code("generate"),
    message:
        "generate {wildcards.sample} {wildcards.block}"
    script:
        "../workflow/scripts/stage.py"
