"""A stack of an endpoint's CloudFormation."""

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.deployment.omission import Content, Reasons

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client

POLL_S = 0.1
DEADLINE_S = 600  # of one creation, update or deletion
SHELF = "comfyq-templates"  # a bucket: CreateStack itself takes no more than 51,200 bytes
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
CAPABILITIES: Any = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]
SUCCEEDED = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
ABSENT = "does not exist"
UNCHANGED = "No updates are to be performed"


class CannotDeploy(Exception):
    """The message says what the endpoint refused, and why."""


@dataclass(frozen=True, slots=True)
class Made:
    """A resource that exists."""

    id: str  # its name in the template
    type: str  # AWS::SQS::Queue
    physical_id: str  # its name at the endpoint


class Stack:
    """One stack; every method returns when what it asks for is done."""

    def __init__(self, name: str, *, client: "CloudFormationClient", s3: "S3Client") -> None:
        self.name = name
        self._client = client
        self._s3 = s3

    def status(self) -> str | None:
        """As CloudFormation calls it; None: there is no such stack."""
        try:
            stacks = self._client.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as refused:
            if ABSENT in str(refused):
                return None
            raise
        return stacks[0]["StackStatus"] if stacks else None

    def template(self) -> Content:
        """Return the template that the stack was made from last."""
        body: Any = self._client.get_template(StackName=self.name)["TemplateBody"]
        content: Content = json.loads(body) if isinstance(body, str) else body
        return content

    def create(self, template: Content) -> Reasons:
        """Create the stack; return why resources could not be made, by logical id.

        Raises:
            CannotDeploy: the template is refused as a whole.
        """
        try:
            self._client.create_stack(
                StackName=self.name, TemplateURL=self._shelved(template), Capabilities=CAPABILITIES
            )
        except ClientError as refused:
            raise CannotDeploy(f"the endpoint refuses the template: {refused}") from refused
        return {} if self._settled() in SUCCEEDED else self._failures("CREATE_FAILED")

    def update(self, template: Content) -> Reasons:
        """As ``create``, for a stack that is there."""
        try:
            self._client.update_stack(
                StackName=self.name, TemplateURL=self._shelved(template), Capabilities=CAPABILITIES
            )
        except ClientError as refused:
            if UNCHANGED in str(refused):
                return {}
            raise CannotDeploy(f"the endpoint refuses the template: {refused}") from refused
        if self._settled() in SUCCEEDED:
            return {}
        return self._failures("UPDATE_FAILED") | self._failures("CREATE_FAILED")

    def delete(self) -> None:
        self._client.delete_stack(StackName=self.name)
        self._settled()

    def resources(self) -> Mapping[str, Made]:
        pages = self._client.get_paginator("list_stack_resources").paginate(StackName=self.name)
        summaries = [each for page in pages for each in page["StackResourceSummaries"]]
        return {
            each["LogicalResourceId"]: Made(
                each["LogicalResourceId"], each["ResourceType"], each.get("PhysicalResourceId", "")
            )
            for each in summaries
            if each["ResourceStatus"] in SUCCEEDED
        }

    def _settled(self) -> str | None:
        deadline = time.monotonic() + DEADLINE_S
        while (status := self.status()) is not None and status.endswith("_IN_PROGRESS"):
            if time.monotonic() > deadline:
                raise CannotDeploy(f"stack {self.name} is {status} for more than {DEADLINE_S} s")
            time.sleep(POLL_S)
        return None if status == "DELETE_COMPLETE" else status

    def _failures(self, status: str) -> dict[str, str]:
        """Without those that only gave up because another one failed."""
        pages = self._client.get_paginator("describe_stack_events").paginate(StackName=self.name)
        events = [each for page in pages for each in page["StackEvents"]]
        return {
            each["LogicalResourceId"]: each.get("ResourceStatusReason", "no reason was given")
            for each in events
            if each.get("ResourceStatus") == status
            and each["LogicalResourceId"] != self.name
            and "cancelled" not in each.get("ResourceStatusReason", "")
        }

    def _shelved(self, template: Content) -> str:
        """The URL of a template that the endpoint can read."""
        body = json.dumps(template, sort_keys=True).encode()
        key = f"{self.name}-{hashlib.sha256(body).hexdigest()[:16]}.json"
        taken = (
            self._s3.exceptions.BucketAlreadyOwnedByYou,
            self._s3.exceptions.BucketAlreadyExists,
        )
        with suppress(*taken):
            self._s3.create_bucket(Bucket=SHELF)
        self._s3.put_object(Bucket=SHELF, Key=key, Body=body)
        return f"{self._s3.meta.endpoint_url}/{SHELF}/{key}"
