import pytest

from comfyq.domain.workflow.output_nodes import may_save_pictures


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["SaveImage"], True),
        (["SaveVideo", "PreviewImage"], True),
        (["Image Save With Text Metadata"], True),
        (["SaveAnimatedWEBP"], True),
        (["SaverOfACustomNode"], True),
        (["SaveVideo"], False),
        (["VHS_VideoCombine"], False),
        (["SaveAudioMP3", "SaveText"], False),
        (["SaveGLB"], False),
        (["SaveLatent"], False),
    ],
)
def test_classes_tell_what_makes_no_pictures(classes: list[str], expected: bool) -> None:
    graph = {str(n): {"class_type": each, "inputs": {}} for n, each in enumerate(classes)}
    assert may_save_pictures(graph, tuple(graph)) is expected
