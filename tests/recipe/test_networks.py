"""Networks by name and in files: those that come with the tool, and those of users."""

import pytest

from asymbp_cli.errors import NetworkError
from asymbp_cli.recipe.networks import NETWORKS, input_shape


def test_a_network_of_vectors_takes_no_images() -> None:
    with pytest.raises(NetworkError, match="takes vectors of 1845, but folder holds images"):
        input_shape(NETWORKS["timit"], "folder", "folder")
    with pytest.raises(NetworkError, match="takes images, but timit holds vectors of 1845"):
        input_shape(NETWORKS["large"], "timit", "timit")
    assert input_shape(NETWORKS["timit"], "timit", "timit") == (1845,)
    assert input_shape(NETWORKS["cifar"], "cifar10", "cifar10") == (32, 32, 3)
