"""Project settings, see https://docs.kedro.org/en/stable/configure/configuration_basics/."""

from kedro_doltdb import DoltConfigLoader, bulk_load

from .hooks import DoltHooks

HOOKS = (DoltHooks(),)

# It gives the catalog the credentials `dolt` where the hooks do not run, as in Kedro-Viz.
CONFIG_LOADER_CLASS = DoltConfigLoader

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # conf/*/dolt.yml holds the settings of Dolt.
    "config_patterns": {"dolt": ["dolt*", "dolt*/**"]},
    # ${dolt.bulk_load:key} in catalog.yml makes a table with a primary key, so that its rows can be compared.
    "custom_resolvers": {"dolt.bulk_load": bulk_load},
}
