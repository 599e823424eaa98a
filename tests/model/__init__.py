"""The whole registry beside a model of dictionaries, under steps that Hypothesis thinks up."""
