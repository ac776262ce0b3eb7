"""What streaming does where scores are beyond a float's range, or where nothing tells frames apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from step_ros.probes import StreamingHeads

from .streams import in_double, make_heads, relative_error, torch_threads


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Heads this small are faster on one core."""
    with torch_threads(1):
        yield


def test_a_burst_of_extreme_frames_passes_through_the_plain_module_and_leaves_no_trace() -> None:
    """Tokens so large that the temporal embeddings alone spread scores beyond float32's range."""
    torch.manual_seed(0)
    heads = make_heads((4,), normalization="none")
    head = heads["task_0"]
    calls: list[int] = []
    handle = head.register_forward_hook(lambda module, arguments, output: calls.append(1))
    streaming = StreamingHeads(heads)
    stream = torch.randn(20, 5, 24)
    stream[8] *= 1e4
    plain = []
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
        calls.clear()
        logits = streaming.logits()
        plain.append(bool(calls))
        if logits is not None:
            expected = in_double(head, stream[index - 3 : index + 1])
            assert relative_error(logits["task_0"], expected) < 1e-5
    handle.remove()
    assert [index for index, was_plain in enumerate(plain) if was_plain] == [8, 9, 10, 11]


def test_one_task_beyond_range_leaves_the_others_streaming() -> None:
    torch.manual_seed(0)
    heads = make_heads((4, 4))
    with torch.no_grad():
        heads["task_1"].probe.position.mul_(1e4)
    streaming = StreamingHeads(heads)
    stream = torch.randn(6, 5, 24)
    called: list[str] = []
    for task, head in heads.items():
        head.register_forward_hook(lambda module, arguments, output, task=task: called.append(task))
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
    logits = streaming.logits()
    assert called == ["task_1"]
    assert logits is not None
    for task, head in heads.items():
        with torch.no_grad():
            torch.testing.assert_close(logits[task], head(stream[None, -4:])[0], rtol=1e-5, atol=1e-5)


def test_a_cls_token_that_looks_at_itself_alone() -> None:
    """Its own score is so far above all others that a softmax relative to those would overflow."""
    torch.manual_seed(0)
    heads = make_heads((4,))
    probe = heads["task_0"].probe
    with torch.no_grad():
        query, key, _ = probe.in_proj.weight.chunk(3)
        key.copy_(query)
        probe.in_proj.bias.zero_()
        probe.cls.mul_(100)
    streaming = StreamingHeads(heads)
    stream = torch.randn(8, 5, 24)
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
    logits = streaming.logits()
    assert streaming.streaming_tasks == ("task_0",) and logits is not None
    assert relative_error(logits["task_0"], in_double(heads["task_0"], stream[-4:])) < 1e-5


def test_without_temporal_embeddings_the_stream_is_order_blind() -> None:
    """The order-blind self-attention probe is the special case with all temporal embeddings zero."""
    torch.manual_seed(0)
    heads = make_heads()
    with torch.no_grad():
        heads["task_0"].probe.position.zero_()
    stream = torch.randn(4, 5, 24)
    answers = []
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        streaming = StreamingHeads(heads)
        for index, frame in enumerate(order):
            streaming.push(index, stream[frame])
        logits = streaming.logits()
        assert logits is not None
        answers.append(logits["task_0"])
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(answers[0], answers[2], rtol=1e-5, atol=1e-6)
    assert relative_error(answers[0], in_double(heads["task_0"], stream)) < 1e-5
