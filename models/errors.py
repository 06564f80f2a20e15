"""What can go wrong with models and images; each leaf names one cause."""

from renzheng.contracts.errors import FaultError, InputError, UsageError


class ModelFileError(InputError):
    """A model file is truncated, altered, or not what its name or card says."""


class ModelMissingError(FaultError):
    """A model file that an engine needs is not on this machine."""


class UnknownEngineError(UsageError):
    """No engine of that name."""


class UnknownModelError(UsageError):
    """No card of that name in the catalogue."""


class CardError(FaultError):
    """A card in the catalogue is malformed."""


class ImageError(InputError):
    """The bytes handed in do not become an image."""


class EmptyImageError(ImageError):
    """No bytes at all."""


class NotAnImageError(ImageError):
    """The bytes are in no image format that is read here."""


class TruncatedImageError(ImageError):
    """The image ends before it should, or its data are damaged."""


class ImageTooLargeError(ImageError):
    """More pixels or bytes than an honest camera sends."""


class ImageTooSmallError(ImageError):
    """Too few pixels to hold a face."""


class PixelLayoutError(ImageError):
    """An array that is not rows x columns x 3 of unsigned 8-bit RGB."""


class TemplateMismatchError(UsageError):
    """Templates of different models, or under different keys, do not compare."""


class TemplateDamagedError(InputError):
    """A stored template does not open: wrong key, wrong person, or altered bytes."""


class CalibrationError(InputError):
    """A calibration cannot be computed, or was made for another model."""


class OperatingPointError(UsageError):
    """A false match rate was asked for that nothing measured supports."""


class PairsFileError(InputError):
    """The list of pairs, or the folder of identities, cannot be used."""


class LabelsFileError(InputError):
    """The list of labelled presentations, or what it names, cannot be used."""


class DownloadError(FaultError):
    """A model could not be fetched."""


class TemplateKeyError(UsageError):
    """A template key is missing, unsafe, or would be lost."""


class BenchError(FaultError):
    """A measured process failed."""
