"""Targets by the question that they answer: `snakemake --cores N limits`."""


def of_all_datasets(name):
    """A result of every dataset of the campaign."""
    return [
        PLAN.analysis_path(name, {"search": s, "dataset": d})
        for s, d in PLAN.campaign.limited
    ]


rule limits_all:
    input:
        of_all_datasets("limits_csv"),


rule couplings_all:
    input:
        of_all_datasets("couplings"),


rule cutflows_all:
    input:
        of_all_datasets("cutflow"),


rule figures_all:
    input:
        of_all_datasets("figures"),


rule measurements_all:
    input:
        measurements_of_campaign,


rule rates_all:
    input:
        rates_of_campaign,
