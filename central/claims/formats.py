"""The formats that can be imported, by name: a command's help needs no reader of any of them."""

from enum import StrEnum


class Format(StrEnum):
    """The formats that can be imported."""

    NHSA = "nhsa"
    HL7 = "hl7"
    FHIR = "fhir"
    SYNTHEA = "synthea"
    CSV = "csv"
    PARQUET = "parquet"
    PLATFORM = "platform"
    DICOM = "dicom"
