"""The explicit Arrow schema of a record, its version, and the migrations from older versions.

Every column is typed: an inferred schema turns an all-null column into type ``null`` and the files no longer read
together. Raise SCHEMA_VERSION with every change of a column, add a migration, and commit a file of the old version
under tests/golden.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

import pyarrow as pa

from results.errors import SchemaError

SCHEMA_VERSION = 5

_MATRIX = pa.list_(pa.list_(pa.int64()))
_CURVES = pa.list_(pa.struct([("name", pa.string()), ("step", pa.int64()), ("value", pa.float64())]))

# (column, type, meaning). The table in results/README.md is generated from this one.
COLUMNS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("schema_version", pa.int32(), "version of this schema"),
    ("benchmark_version", pa.string(), "version of the rules; part of trial_id"),
    ("trial_id", pa.string(), "identity of the trial: hash of all that can change a number"),
    ("config_id", pa.string(), "the same without seed and split index: the configuration"),
    ("purpose", pa.string(), "'trial', or 'search' (scored on validation only, never in a table)"),
    ("scene", pa.string(), "name of the scene"),
    ("scene_hash", pa.string(), "SHA-256 of cube and labels, first 16 hex digits"),
    ("class_names", pa.list_(pa.string()), "names of the classes, in the order of the confusion matrices"),
    ("split_rule", pa.string(), "name of the split rule"),
    ("labels_per_class", pa.int32(), "training labels per class; null where the budget is another"),
    ("labels_percent", pa.float64(), "training labels in per cent of every class; null where the budget is another"),
    ("masks", pa.string(), "published split that decides the training pixels, NAME@digest; null where none does"),
    ("val_per_class", pa.int32(), "validation labels per class"),
    ("patch_size", pa.int32(), "side in pixels of the patch that the split guards"),
    ("split_index", pa.int32(), "index of the split; with scene and rule it seeds the split"),
    ("n_train", pa.int32(), "training pixels"),
    ("n_val", pa.int32(), "validation pixels"),
    ("n_test", pa.int32(), "test pixels"),
    ("dropped", pa.map_(pa.string(), pa.int64()), "labelled or masked pixels that are in no part, by reason"),
    ("noted", pa.map_(pa.string(), pa.int64()), "remarks on the split, each with the pixels that it holds for"),
    ("unsupported_classes", pa.list_(pa.string()), "classes that the rule could not serve, in no part"),
    ("unvalidated_classes", pa.list_(pa.string()), "classes with training and test but no validation pixels"),
    ("leakage", pa.float64(), "share of test pixels whose patch shares a pixel with a training patch"),
    ("leakage_val", pa.float64(), "share of validation pixels whose patch shares a pixel with a training patch"),
    ("method", pa.string(), "name of the method"),
    ("kind", pa.string(), "what the method is to the comparison, e.g. 'classical' or 'bound'; null in old rows"),
    ("params_json", pa.string(), "all parameters of the method, defaults filled in, as canonical JSON"),
    ("protocol", pa.string(), "name of the protocol that scored it"),
    ("protocol_params_json", pa.string(), "all parameters of the protocol, as canonical JSON"),
    ("seed", pa.int64(), "seed of the method"),
    ("sees_labels", pa.string(), "labels the method's fit may see: 'none', 'train', or 'all' (a bound)"),
    ("transductive", pa.bool_(), "whether fitting saw the spectra of test pixels"),
    ("status", pa.string(), "'ok', 'diverged' (non-finite loss) or 'failed'"),
    ("error_type", pa.string(), "class of the error, if any"),
    ("error", pa.string(), "message of the error, if any"),
    ("confusion_val", _MATRIX, "validation confusion matrix, rows true, columns predicted"),
    ("confusion_test", _MATRIX, "test confusion matrix, rows true, columns predicted"),
    ("chosen_json", pa.string(), "what the protocol chose on validation, as canonical JSON"),
    ("curves", _CURVES, "what was watched during training"),
    ("diagnostics", pa.map_(pa.string(), pa.float64()), "quality of pseudolabels and negatives, measured with labels"),
    ("n_parameters", pa.int64(), "learnt parameters of the encoder, and of the classifier of methods that classify"),
    ("embedding_dim", pa.int32(), "dimension of the embedding"),
    ("fit_s", pa.float64(), "seconds to fit (shared by n_shared trials); of fits trained as one an equal share"),
    ("n_fused", pa.int32(), "fits that were trained as one with it, itself included; null in old rows"),
    ("n_shared", pa.int32(), "trials of this run that share the fit"),
    ("embed_s", pa.float64(), "seconds to embed the scene"),
    (
        "protocol_s",
        pa.float64(),
        "seconds to train the protocol's classifier and apply it to validation and test pixels",
    ),
    (
        "choose_s",
        pa.float64(),
        "those of protocol_s to train and choose the classifier; of trials solved together an equal share; null in old "
        "rows",
    ),
    ("peak_memory_mib", pa.float64(), "peak memory: of the process on CPU, of the allocator on CUDA, in MiB"),
    ("fit_memory_mib", pa.float64(), "the same while fitting; null in old rows"),
    ("embed_memory_mib", pa.float64(), "the same while embedding the scene; null in old rows"),
    ("device", pa.string(), "'cpu' or 'cuda'"),
    ("device_name", pa.string(), "name of the processor or accelerator"),
    ("host", pa.string(), "name of the machine"),
    ("n_threads", pa.int32(), "threads of the process"),
    ("started_utc", pa.timestamp("us", tz="UTC"), "start of the fit"),
    ("commit", pa.string(), "commit of the code, if known"),
    ("dirty", pa.bool_(), "whether the code had uncommitted changes, if known"),
    ("versions", pa.map_(pa.string(), pa.string()), "versions of Python and the packages that make the numbers"),
)

SCHEMA = pa.schema([pa.field(name, kind) for name, kind, _ in COLUMNS])

# Columns that a rerun may change without the result being another one.
VOLATILE_COLUMNS = (
    "fit_s", "n_fused", "n_shared", "embed_s", "protocol_s", "choose_s", "peak_memory_mib", "fit_memory_mib",
    "embed_memory_mib", "device_name", "host", "started_utc", "commit", "dirty", "versions",
)  # fmt: skip


# What a version added: null in rows of an earlier one, which do not say it. That is not "nothing": rows of version 1
# do not say what validation lacked, those of version 2 were planned per class, without masks, and do not say which
# pixels were dropped, those of version 3 neither of what kind a method is nor apart what training and classifying took,
# those of version 4 were each fitted alone.
ADDED_COLUMNS: dict[int, tuple[str, ...]] = {
    2: ("unvalidated_classes", "leakage_val"),
    3: ("labels_percent", "masks", "dropped", "noted"),
    4: ("kind", "choose_s", "fit_memory_mib", "embed_memory_mib"),
    5: ("n_fused",),
}


def _with_nulls(table: pa.Table, names: tuple[str, ...]) -> pa.Table:
    for name in names:
        table = table.append_column(name, pa.nulls(table.num_rows, SCHEMA.field(name).type))
    return table


# MIGRATIONS[v] turns the columns of version v into those of version v + 1; ``migrate`` sets schema_version itself.
MIGRATIONS: dict[int, Callable[[pa.Table], pa.Table]] = {
    version - 1: functools.partial(_with_nulls, names=names) for version, names in ADDED_COLUMNS.items()
}


def migrate(table: pa.Table, origin: str) -> pa.Table:
    """Return ``table`` in today's schema.

    Args:
        table: rows of one file, all of one schema version.
        origin: where the rows come from, for messages.

    Raises:
        SchemaError: the rows carry no version, one newer than this code knows, or columns of another shape.
    """
    if "schema_version" not in table.column_names:
        raise SchemaError(f"{origin} has no column schema_version: it is not a file of this store; move it elsewhere")
    versions = set(table.column("schema_version").to_pylist())
    if not versions:
        return SCHEMA.empty_table()
    if len(versions) > 1:
        raise SchemaError(f"{origin} mixes schema versions {sorted(versions)}: rewrite it with one version per file")
    version = versions.pop()
    if version is None or version > SCHEMA_VERSION:
        raise SchemaError(
            f"{origin} has schema version {version}, this code knows up to {SCHEMA_VERSION}: update hsicl"
        )
    while version < SCHEMA_VERSION:
        if version not in MIGRATIONS:
            raise SchemaError(
                f"{origin} has schema version {version}, which never was: it is damaged; delete it and rerun"
            )
        table = MIGRATIONS[version](table)
        version += 1
    # Rows say of which version they are now: they may be written again.
    now = pa.array([SCHEMA_VERSION] * table.num_rows, pa.int32())
    table = table.set_column(table.schema.get_field_index("schema_version"), "schema_version", now)
    try:
        return table.select(SCHEMA.names).cast(SCHEMA)
    except (KeyError, pa.ArrowInvalid, ValueError) as error:
        raise SchemaError(f"{origin} does not have the columns of schema version {version}: {error}") from error


def column_table() -> str:
    """Return the columns as the Markdown table of results/README.md."""
    lines = [f"| `{name}` | {_type_name(kind)} | {meaning} |\n" for name, kind, meaning in COLUMNS]
    return "".join(["| column | type | meaning |\n", "| --- | --- | --- |\n", *lines])


def _type_name(kind: pa.DataType) -> str:
    # Arrow's own names of nested types differ between its versions.
    if pa.types.is_map(kind):
        return f"map of {_type_name(kind.key_type)} to {_type_name(kind.item_type)}"
    if pa.types.is_list(kind):
        return f"list of {_type_name(kind.value_type)}"
    if pa.types.is_struct(kind):
        return (
            "("
            + ", ".join(f"{kind.field(i).name} {_type_name(kind.field(i).type)}" for i in range(kind.num_fields))
            + ")"
        )
    return str(kind)


if __name__ == "__main__":
    sys.stdout.write(column_table())
