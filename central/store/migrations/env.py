"""What Alembic runs: the migrations, in the transaction that `Database.migrate` opened."""

from alembic import context

from renzheng.central.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=False,
)
context.run_migrations()
