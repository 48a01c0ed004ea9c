"""The clients that the generation API's own documentation shows, word for word but for the port."""

from string import Template

CURL_SUBMIT = Template("""
curl -s -X POST http://localhost:$port/generate \\
  -H "Content-Type: application/json" \\
  -d '{
    "prompt": "a sunset over mountains",
    "negative_prompt": "blurry",
    "workflow": "flux-dev.json",
    "width": 1024,
    "height": 1024,
    "steps": 20,
    "cfg": 7.0,
    "seed": 42
  }'
""")

CURL_STATUS = Template("curl -s http://localhost:$port/generate/$job_id")

CURL_HEALTH = Template("curl -s http://localhost:$port/health")

POLLING = Template("""
import requests
import time

# Submit generation
response = requests.post("http://localhost:$port/generate", json={
    "prompt": "a sunset over mountains",
    "width": 1024,
    "height": 1024,
    "steps": 20,
    "cfg": 7.0,
})

job_id = response.json()["id"]
print(f"Job ID: {job_id}")

# Poll for completion
while True:
    status = requests.get(f"http://localhost:$port/generate/{job_id}").json()
    print(f"Status: {status['status']} - Progress: {status['progress']:.0%}")

    if status["status"] == "completed":
        print(f"Image URL: {status['image_url']}")
        break
    elif status["status"] == "failed":
        print(f"Error: {status['error']}")
        break

    time.sleep(2)
""")

FOLLOWING = Template("""
import asyncio
import json
import websockets

async def track_progress(job_id):
    async with websockets.connect(f"ws://localhost:$port/ws/progress/{job_id}") as ws:
        while True:
            message = await ws.recv()
            data = json.loads(message)

            print(f"Progress: {data['progress']:.0%} - {data['status']}")

            if data["status"] in ["completed", "failed"]:
                break

asyncio.run(track_progress("$job_id"))
""")
