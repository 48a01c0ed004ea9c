"""Rules about alarms, the budget and the dashboard: somebody is told, of the right thing."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from comfyq.edges.reaper.worker_count import METRIC
from comfyq.services.operations.embedded_metrics import DIMENSION, NAMESPACE
from infra.checks.document import Document
from infra.checks.intrinsics import text
from infra.deployment.references import VARIABLE

SQS_VISIBLE = ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
SQS_RECEIVED = ("AWS/SQS", "NumberOfMessagesReceived")
WATCHED: Mapping[str, tuple[tuple[str, str], str]] = {
    "ApiFails": (("AWS/ApiGateway", "5xx"), "ApiId=${HttpApi}"),
    "ReaperFails": (("AWS/Lambda", "Errors"), "FunctionName=${ReaperFunction}"),
    "JobsWaitLong": (
        ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
        "QueueName=${JobsQueue.QueueName}",
    ),
    "JobsDead": (SQS_RECEIVED, "QueueName=${JobsDeadLetters.QueueName}"),
    "SubmissionsDead": (SQS_RECEIVED, "QueueName=${SubmissionsDeadLetters.QueueName}"),
}
TOLD = {"Fn::If": ["HasAlarmEmail", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}


def alarms_watch_what_they_are_named_for(document: Document) -> Iterator[str]:
    for name, (metric, dimension) in WATCHED.items():
        alarm = document.get(name)
        if (alarm.find("Namespace"), alarm.find("MetricName")) != metric:
            yield f"{name}: watches {alarm.find('Namespace')} {alarm.find('MetricName')}"
        if _dimensions(alarm.properties) != [dimension]:
            yield f"{name}: watches {_dimensions(alarm.properties)}"
        if not str(alarm.find("ComparisonOperator")).startswith("GreaterThan"):
            yield f"{name}: rings when all is well"


def stranded_jobs_are_told(document: Document) -> Iterator[str]:
    """By the metric that the reaper writes, beside the queue's."""
    alarm = document.get("NoLiveWorker")
    metrics = [
        each["MetricStat"]["Metric"] for each in alarm.find("Metrics", []) if "MetricStat" in each
    ]
    watched = {(each["Namespace"], each["MetricName"]): _dimensions(each) for each in metrics}
    if watched.get((NAMESPACE, METRIC)) != [f"{DIMENSION}=${{Table}}"]:
        yield f"NoLiveWorker: watches {sorted(watched)}"
    if watched.get(SQS_VISIBLE) != ["QueueName=${JobsQueue.QueueName}"]:
        yield "NoLiveWorker: rings without a job, too"


def alarms_reach_somebody(document: Document) -> Iterator[str]:
    for alarm in document.of("AWS::CloudWatch::Alarm"):
        actions = alarm.find("AlarmActions")
        scales = alarm.condition == "GpuPool" and str(actions).startswith("[{'Ref': 'Scale")
        if actions != TOLD and not scales:
            yield f"{alarm.id}: tells {actions}"
    topic = document.get("AlarmTopic")
    if topic.find("Subscription.0.Endpoint") != {"Ref": "AlarmEmail"}:
        yield "AlarmTopic: nobody listens"
    allowed = document.get("AlarmTopicPolicy").find("PolicyDocument.Statement", [])
    if not any(_lets_cloudwatch(statement) for statement in allowed):
        yield "AlarmTopicPolicy: CloudWatch may not publish"


def the_budget_is_watched(document: Document) -> Iterator[str]:
    budget = document.get("MonthlyBudget")
    if text(budget.find("Budget.BudgetLimit.Amount")) != "${BudgetUsd}":
        yield "MonthlyBudget: is not the parameter's"
    listeners = [
        text(subscriber["Address"])
        for each in budget.find("NotificationsWithSubscribers", [])
        for subscriber in each["Subscribers"]
    ]
    if set(listeners) != {"${AlarmEmail}"}:
        yield f"MonthlyBudget: tells {listeners}"


def the_dashboard_shows_what_there_is(document: Document) -> Iterator[str]:
    body = document.get("Dashboard").find("DashboardBody.Fn::Sub", "")
    names = {name.split(".")[0] for name in VARIABLE.findall(body)} - {"AWS::Region"}
    for name in sorted(names - set(document.resources)):
        yield f"Dashboard: there is no {name}"
    try:
        widgets = json.loads(VARIABLE.sub("x", body))["widgets"]
    except (ValueError, KeyError) as broken:
        yield f"Dashboard: {broken}"
        return
    shown = {row[1] for each in widgets for row in each["properties"]["metrics"] if len(row) > 1}
    for metric in (METRIC, SQS_VISIBLE[1], "ApproximateAgeOfOldestMessage", "5xx", "Errors"):
        if metric not in shown:
            yield f"Dashboard: does not show {metric}"


def _dimensions(properties: Mapping[str, Any]) -> list[str]:
    pairs = properties.get("Dimensions", [])
    return [f"{pair['Name']}={text(pair['Value'])}" for pair in pairs]


def _lets_cloudwatch(statement: Mapping[str, Any]) -> bool:
    who = statement["Principal"]
    allows = (statement["Effect"], statement["Action"]) == ("Allow", "sns:Publish")
    return allows and who == {"Service": "cloudwatch.amazonaws.com"}
