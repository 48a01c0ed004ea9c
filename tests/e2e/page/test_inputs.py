"""Forms that take files, masks and LoRAs."""

from base64 import b64encode
from io import BytesIO

import pytest
import urllib3
from PIL import Image
from playwright.sync_api import FilePayload, JSHandle, Locator, Route, expect

from tests.e2e.page.visit import WAIT_MS, Visit
from tests.processes import Process

pytestmark = pytest.mark.browser


def picture() -> FilePayload:
    buffer = BytesIO()
    Image.linear_gradient("L").convert("RGB").save(buffer, "PNG")
    return {"name": "grey.png", "mimeType": "image/png", "buffer": buffer.getvalue()}


def dragged(visit: Visit) -> JSHandle:
    """The picture, as it comes from a window of files."""
    return visit.page.evaluate_handle(
        """([name, type, text]) => {
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const dropped = new DataTransfer();
          dropped.items.add(new File([bytes], name, {type}));
          return dropped;
        }""",
        [picture()["name"], picture()["mimeType"], b64encode(picture()["buffer"]).decode()],
    )


def drop(visit: Visit, place: Locator) -> None:
    place.dispatch_event("drop", {"dataTransfer": dragged(visit)})


def parameters(up: Process, workflow: str) -> dict[str, object]:
    """Those of the newest job of a workflow."""
    [newest, *_] = urllib3.request("GET", f"{up.url}/generate?workflow={workflow}").json()["jobs"]
    story = urllib3.request("GET", f"{up.url}/generate/{newest['id']}/story").json()
    values: dict[str, object] = story["parameters"]
    return values


def test_a_mask_is_painted_over_a_picture(visit: Visit, up: Process) -> None:
    visit.open("create/sd15-inpaint")
    page = visit.page
    image, mask = page.locator(".kind-image"), page.locator(".kind-mask")
    expect(mask.get_by_role("button", name="Paint")).to_be_disabled(timeout=WAIT_MS)
    visit.fill({"prompt": "a hat", "steps": 3})
    visit.generate()
    expect(image.locator("button").first).to_be_focused()
    expect(image).to_contain_text("is required")
    chooser = image.locator("input[type=file]")
    chooser.set_input_files({**picture(), "name": "tool.py", "buffer": b"import os\n"})
    expect(image).to_contain_text("tool.py is no picture that can be read")
    visit.see("no-picture")
    scanned = BytesIO()
    Image.new("L", (64, 64)).save(scanned, "TIFF")
    with visit.page.expect_response("**/assets?filename=scan.tif") as stored:
        chooser.set_input_files({**picture(), "name": "scan.tif", "buffer": scanned.getvalue()})
    assert stored.value.ok, "workers read what browsers do not show"
    image.get_by_role("button", name="Remove").click()
    drop(visit, image.locator(".drop"))
    expect(image.get_by_role("img", name="grey.png")).to_be_visible(timeout=WAIT_MS)
    mask.get_by_role("button", name="Paint").click()
    canvas = page.get_by_role("dialog").locator("canvas")
    expect(canvas).to_be_visible()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    visit.see("mask")
    painted = canvas.evaluate("(each) => each.toDataURL()")
    canvas.focus()
    page.keyboard.press("ArrowDown")
    assert canvas.evaluate("(each) => each.toDataURL()") != painted
    page.get_by_role("button", name="Undo").click()
    assert canvas.evaluate("(each) => each.toDataURL()") == painted
    page.get_by_role("button", name="Use this mask").click()
    expect(mask.get_by_role("img", name="mask.png")).to_be_visible(timeout=WAIT_MS)
    visit.generate()
    visit.until_made()
    values = parameters(up, "sd15-inpaint")
    assert str(values["image"]).startswith("asset:")
    assert values["mask"] != values["image"]


def test_a_form_waits_for_its_file_and_the_page_stays_where_one_is_dropped(visit: Visit) -> None:
    visit.open("create/sd15-img2img")
    page = visit.page
    expect(page.locator("form.form")).to_be_visible(timeout=WAIT_MS)
    is_left = page.evaluate(
        """(files) => document.body.dispatchEvent(
          new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}))""",
        dragged(visit),
    )
    assert not is_left, "the browser would show the file instead of the page"
    held: list[Route] = []

    def hold(route: Route) -> None:  # Playwright takes no method of a list
        held.append(route)

    page.route("**/assets?*", hold)
    with page.expect_request("**/assets?*"):
        drop(visit, page.locator(".kind-image .drop"))
    expect(page.get_by_role("button", name="Sending the file")).to_be_disabled(timeout=WAIT_MS)
    [route] = held
    route.continue_()
    expect(page.get_by_role("button", name="Generate")).to_be_enabled(timeout=WAIT_MS)


def test_a_result_becomes_another_workflows_input(visit: Visit, up: Process) -> None:
    visit.open("create/sd15")
    visit.fill({"prompt": "a hill", "width": 128, "height": 128, "steps": 3})
    visit.generate()
    visit.until_made()
    page = visit.page
    page.get_by_role("button", name="Use as input").click()
    page.get_by_role("dialog").get_by_role("button", name="image to image").click()
    image = page.locator(".kind-image")
    expect(image.locator("figure img")).to_be_visible(timeout=WAIT_MS)
    visit.see("input")
    visit.fill({"prompt": "a hill in autumn", "steps": 3})
    visit.generate()
    expect(page.locator(".stage-line")).to_contain_text("sd15-img2img", timeout=WAIT_MS)
    visit.until_made()
    assert str(parameters(up, "sd15-img2img")["image"]).startswith("asset:")


@pytest.mark.parametrize(
    ("workflow", "element"), [("wan22-t2v", "video"), ("stable-audio", "audio")]
)
def test_videos_and_sounds_are_played(visit: Visit, workflow: str, element: str) -> None:
    visit.open(f"create/{workflow}")
    visit.fill({"prompt": "rain on a roof", "steps": 3})
    visit.generate()
    player = visit.stage.locator(f"{element}[src*='/outputs/']")
    expect(player).to_be_visible(timeout=WAIT_MS)
    visit.page.locator(".stage-line a").click()
    expect(visit.page.locator(f".job {element}")).to_be_visible(timeout=WAIT_MS)
    expect(visit.page.get_by_role("link", name="Download")).to_be_visible()
    expect(visit.page.get_by_role("button", name="Use as input")).to_have_count(0)
    visit.see(element)


def test_loras_are_picked_from_what_the_worker_has(visit: Visit, up: Process) -> None:
    visit.open("create/sd15")
    page = visit.page
    known = urllib3.request("GET", f"{up.url}/workflows/sd15/choices").json()["choices"]["loras"]
    page.get_by_role("button", name="Add a LoRA").click()
    expect(page.get_by_label("LoRA", exact=True)).to_have_value(known[0])
    page.get_by_label(f"Strength of {known[0]}").fill("0.6")
    page.keyboard.press("Tab")
    visit.fill({"prompt": "a tower", "width": 128, "height": 128, "steps": 3})
    visit.generate()
    visit.until_made()
    assert parameters(up, "sd15")["loras"] == [f"{known[0]}:0.6"]
