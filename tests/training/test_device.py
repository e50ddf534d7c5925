"""Which device and precision a cell gets, why, and what is refused. No GPU is needed: torch's answers are replaced."""

import pytest
import torch

from specnorm.errors import ResourceError
from specnorm.training import device


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Say what this machine has."""

    def has(*, cuda: int = 0, mps: bool = False, bf16: bool = True, cpu: dict[str, object] | None = None) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu or {})

    return has


@pytest.mark.case("T6")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7", "mps"])
def test_a_device_that_is_not_there(machine, name: str) -> None:
    machine()
    with pytest.raises(ResourceError, match=rf"no such device in train\.device: .*got {name}") as caught:
        device.choose(name, "auto")
    assert caught.value.exit_code == 5
    assert "Set train.device to auto" in str(caught.value)


@pytest.mark.case("T6")
def test_a_gpu_too_many(machine) -> None:
    machine(cuda=2)
    assert device.choose("cuda:1", "fp32").device == torch.device("cuda:1")
    with pytest.raises(ResourceError, match=r"expected at most cuda:1, got cuda:2"):
        device.choose("cuda:2", "fp32")


@pytest.mark.case("T6")
def test_auto_takes_the_best_device_there_is(machine) -> None:
    machine(cuda=1, mps=True)
    assert device.choose("auto", "auto").device.type == "cuda"
    machine(mps=True)
    assert device.choose("auto", "auto").device.type == "mps"
    machine()
    chosen = device.choose("auto", "auto")
    assert chosen.device.type == "cpu"
    assert "cpu" in chosen.reason
    assert chosen.precision == "fp32"
    assert "no bfloat16" in chosen.reason


@pytest.mark.parametrize(
    ("has", "name", "precision", "reason"),
    [
        ({"cpu": {"avx512_bf16": True}}, "cpu", "bf16", "AVX512-BF16"),
        ({"cpu": {"amx_tile": True}}, "cpu", "bf16", "AMX-TILE"),
        ({"cpu": {"avx512_bf16": False, "avx2": True}}, "cpu", "fp32", "no bfloat16"),
        ({"cuda": 1, "bf16": True}, "cuda", "bf16", "natively"),
        ({"cuda": 1, "bf16": False}, "cuda", "fp32", "GPU"),
        ({"mps": True}, "mps", "fp32", "unproved on mps"),
    ],
)
def test_auto_precision_and_its_reason(machine, has, name: str, precision: str, reason: str) -> None:
    machine(**has)
    chosen = device.choose(name, "auto")
    assert chosen.precision == precision
    assert chosen.autocast is (torch.bfloat16 if precision == "bf16" else None)
    assert reason in chosen.reason


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precision_as_asked_whatever_would_pay(machine, precision: str) -> None:
    machine(cpu={"avx512_bf16": precision == "fp32"})
    chosen = device.choose("cpu", precision)
    assert chosen.precision == precision
    assert f"{precision} as asked" in chosen.reason
