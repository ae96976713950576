from training.config import TrainConfig
from training.provenance import provenance


def test_no_folder_of_this_machine_is_recorded() -> None:
    digits = "#sha256=" + "0" * 64
    weights = [f"/home/ann/net.pth{digits}", "runs/a/weights.safetensors", "DEFAULT"]
    elsewhere = [f"https://host/net.pth{digits}", f"pypi:weights==1.0{digits}"]
    recorded = provenance(TrainConfig("pets", weights=[*weights, *elsewhere]), [])["config"]
    files = [f"net.pth{digits}", "weights.safetensors", "DEFAULT"]
    assert recorded["weights"] == [*files, *elsewhere]
    assert recorded["name"] == "pets"
    only = provenance(TrainConfig("pets", weights=weights[0]), [])["config"]["weights"]
    assert only == files[0]
