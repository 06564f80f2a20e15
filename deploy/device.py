"""`renzheng device`: central brings devices in and puts them out, devices join; one app of two halves."""

import typer

from renzheng.central.site.command import app as at_central
from renzheng.edge.device.command import app as at_device

app = typer.Typer(no_args_is_help=True, help="Bring devices in, put them out; keys and logs.")
for half in (at_central, at_device):
    app.registered_commands += half.registered_commands
    app.registered_groups += half.registered_groups
