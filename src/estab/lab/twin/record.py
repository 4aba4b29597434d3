"""What a twin is recorded as. The structs stand with the other records, since reports read them as well."""

from estab.records.twin import TWIN_SCHEMA, Came, TwinRemedy, TwinResult, TwinRow

__all__ = ["TWIN_SCHEMA", "Came", "TwinRemedy", "TwinResult", "TwinRow"]
