from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from comfyq.domain.files.output import MAX_OUTPUTS
from comfyq.domain.job import JobId
from comfyq.domain.job.output_id import job_id_of, output_id, output_place

INDEXES = st.integers(0, MAX_OUTPUTS - 1)


@given(drawn=st.uuids(version=4), index=INDEXES)
def test_an_id_leads_to_the_job_and_the_place(drawn: UUID, index: int) -> None:
    new = job_id_of(str(drawn))
    made = output_id(new, index)
    assert output_place(made) == (new, index)
    assert (str(UUID(made)), UUID(made).version) == (made, 4)


@given(drawn=st.uuids(version=5), index=INDEXES)
def test_so_does_that_of_a_job_whose_id_has_no_room(drawn: UUID, index: int) -> None:
    job_id = JobId(str(drawn))
    assert output_place(output_id(job_id, index)) == (job_id, index)


def test_other_texts_lead_to_no_output() -> None:
    for text in ("", "none", str(job_id_of(str(uuid4()))), f"{uuid4()}.123456", f"{uuid4()}.x"):
        assert output_place(text) is None
