"""Encoders: factories that return Model(init, apply, kernel)."""

from jssl.models.activations import ACTIVATIONS, Activation
from jssl.models.aligned import aligned, linear_head, linear_stack
from jssl.models.centred import centred
from jssl.models.conv import conv
from jssl.models.linear import deep_linear, linear
from jssl.models.mlp import mlp
from jssl.models.one_layer import one_layer, two_layer
from jssl.models.registry import MODELS, get
from jssl.models.residual import residual
from jssl.models.resnet import ResNet, resnet, resnet_with_stages
from jssl.models.width import crop, cut, nested_normal, nested_normals, pad

__all__ = [
    "ACTIVATIONS",
    "MODELS",
    "Activation",
    "ResNet",
    "aligned",
    "centred",
    "conv",
    "crop",
    "cut",
    "deep_linear",
    "get",
    "linear",
    "linear_head",
    "linear_stack",
    "mlp",
    "nested_normal",
    "nested_normals",
    "one_layer",
    "pad",
    "residual",
    "resnet",
    "resnet_with_stages",
    "two_layer",
]
