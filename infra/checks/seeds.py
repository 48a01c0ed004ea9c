"""Faults to put into the template, each as somebody might make it by hand."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """``old`` becomes ``new`` once, at its first place after ``after``."""

    kind: str
    name: str
    old: str
    new: str
    after: str = "Resources:\n"

    def put_into(self, template: str) -> str:
        """Raises ValueError where the template has no such place any more."""
        start = template.index(self.after)
        at = template.index(self.old, start)
        return template[:at] + self.new + template[at + len(self.old) :]


FAULTS = (
    Fault("rights", "the API may do anything with outputs", "s3:GetObject", "s3:*"),
    Fault(
        "rights",
        "the reaper may delete from every bucket",
        '!Sub "${Bucket.Arn}/outputs/*"',
        '"*"',
        after="Sid: DeleteOutputs",
    ),
    Fault("rights", "the API cannot ring", "sqs:SendMessage", "sqs:ReceiveMessage"),
    Fault(
        "rights",
        "the socket function may scan",
        "- dynamodb:DeleteItem",
        "- dynamodb:DeleteItem\n                  - dynamodb:Scan",
        after="  WebSocketRole:",
    ),
    Fault(
        "rights",
        "a worker cannot abandon an upload",
        "              - s3:AbortMultipartUpload\n",
        "",
    ),
    Fault(
        "rights",
        "an AWS policy slips in",
        "      Policies:\n        - PolicyName: agent",
        "      ManagedPolicyArns:\n        - arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore\n"
        "      Policies:\n        - PolicyName: agent",
    ),
    Fault("rights", "SAM makes the role", "      Role: !GetAtt ReaperRole.Arn\n", ""),
    Fault("rights", "sockets run under the API's role", "WebSocketRole.Arn", "ApiRole.Arn"),
    Fault(
        "trust",
        "any trust anchor will do",
        "              ArnEquals:\n                aws:SourceArn: !Ref TrustAnchorArn\n",
        "",
    ),
    Fault(
        "trust",
        "any certificate of the CA is a worker's",
        "              StringEquals:\n"
        "                aws:PrincipalTag/x509Subject/CN: !Ref WorkerCertificateName\n",
        "",
    ),
    Fault(
        "rights",
        "a worker may read the secret of links",
        '- "JOB#*"',
        '- "*"',
        after="  WorkerPolicy:",
    ),
    Fault(
        "rights",
        "the reaper may read every partition",
        "            Condition:\n              ForAllValues:StringLike:\n"
        "                dynamodb:LeadingKeys",
        "            Condition:\n              StringLike:\n                dynamodb:LeadingKey",
        after="  ReaperRole:",
    ),
    Fault(
        "exposure",
        "pages of every origin may call",
        'Default: ""',
        'Default: "*"',
        after="  CorsOrigins:",
    ),
    Fault(
        "exposure",
        "clients need no key",
        "Default: keys",
        "Default: none",
        after="  Auth:",
    ),
    Fault(
        "exposure",
        "nobody knows who opened sockets",
        '"ip":"$context.identity.sourceIp",',
        "",
        after="  WebSocketApi:",
    ),
    Fault(
        "bucket",
        "what is deleted is gone",
        "      VersioningConfiguration:\n        Status: Enabled\n",
        "",
    ),
    Fault(
        "trust",
        "any account may take a role",
        "Service: ec2.amazonaws.com",
        'AWS: "*"',
        after="  NodeRole:",
    ),
    Fault(
        "exposure",
        "everybody may read the bucket",
        '          - Effect: Deny\n            Principal: "*"\n            Action: s3:*',
        '          - Effect: Allow\n            Principal: "*"\n            Action: s3:GetObject',
        after="  BucketOnlyByTls:",
    ),
    Fault(
        "exposure",
        "queues are closed to TLS instead of to plain text",
        'aws:SecureTransport: "false"',
        'aws:SecureTransport: "true"',
        after="  QueuesOnlyByTls:",
    ),
    Fault(
        "exposure",
        "instances answer without a token",
        "HttpTokens: required",
        "HttpTokens: optional",
    ),
    Fault(
        "exposure",
        "instances listen for SSH",
        "      SecurityGroupEgress:",
        "      SecurityGroupIngress:\n        - IpProtocol: tcp\n          FromPort: 22\n"
        "          ToPort: 22\n          CidrIp: 0.0.0.0/0\n      SecurityGroupEgress:",
    ),
    Fault(
        "encryption",
        "a queue is not encrypted",
        "SqsManagedSseEnabled: true",
        "SqsManagedSseEnabled: false",
    ),
    Fault("environment", "a name is misspelt", "COMFYQ_TABLE", "COMFYQ_TABEL", after="Globals:"),
    Fault(
        "environment",
        "doorbells go to the wrong queue",
        "COMFYQ_QUEUE_URL: !Ref JobsQueue",
        "COMFYQ_QUEUE_URL: !Ref SubmissionsQueue",
        after="Globals:",
    ),
    Fault(
        "environment",
        "webhooks go nowhere but into the internet",
        "        COMFYQ_WEBHOOK_ALLOW: !Ref WebhookAllow\n",
        "",
        after="Globals:",
    ),
    Fault(
        "environment",
        "the pool cannot open keys of partner nodes",
        "Name: COMFYQ_PARTNER_SECRET",
        "Name: COMFYQ_LINK_SECRET",
        after="  WorkerTask:",
    ),
    Fault(
        "environment",
        "every function knows what opens keys of partner nodes",
        "        COMFYQ_BACKEND: aws\n",
        "        COMFYQ_BACKEND: aws\n        COMFYQ_PARTNER_SECRET: !Ref PartnerSecret\n",
        after="Globals:",
    ),
    Fault("secret", "CloudFormation shows it", "NoEcho: true", "NoEcho: false", after="Secret:"),
    Fault(
        "function",
        "a handler is not there",
        "functions.api.handler.handler",
        "functions.api.app.handler",
    ),
    Fault(
        "function", "the API outlives API Gateway", "Timeout: 29", "Timeout: 60", after="Globals:"
    ),
    Fault("function", "the schedule has a plural", "rate(1 minute)", "rate(1 minutes)"),
    Fault(
        "function",
        "a property stands where SAM has none",
        "    Timeout: 29\n",
        "    Timeout: 29\n    PackageType: Image\n",
        after="Globals:",
    ),
    Fault("function", "a route is misspelt", "        subscribe:\n", "        subscribed:\n"),
    Fault("table", "an index does not have the status", "              - status\n", ""),
    Fault("table", "nothing expires", "AttributeName: ttl", "AttributeName: expires"),
    Fault(
        "table",
        "it goes with the stack",
        "UpdateReplacePolicy: Retain",
        "UpdateReplacePolicy: Delete",
    ),
    Fault(
        "queue",
        "dead submissions are doorbells",
        "!GetAtt SubmissionsDeadLetters.Arn",
        "!GetAtt JobsDeadLetters.Arn",
        after="  SubmissionsQueue:",
    ),
    Fault(
        "queue",
        "a doorbell shows before its lease lapses",
        "VisibilityTimeout: 120",
        "VisibilityTimeout: 30",
    ),
    Fault(
        "bucket", "outputs are deleted without their jobs", "Prefix: pending/", "Prefix: outputs/"
    ),
    Fault(
        "pool",
        "growing to a size shrinks a busy pool",
        "AdjustmentType: ChangeInCapacity",
        "AdjustmentType: ExactCapacity",
    ),
    Fault(
        "pool",
        "a backlog of five adds nobody",
        "MetricIntervalLowerBound: 4",
        "MetricIntervalLowerBound: 5",
    ),
    Fault(
        "pool",
        "running jobs are not seen",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesVisible",
        after="  PoolIdle:",
    ),
    Fault("pool", "a worker is killed while it drains", 'Value: "100"', 'Value: "300"'),
    Fault(
        "pool",
        "the front door needs it",
        "COMFYQ_BACKEND: aws",
        "COMFYQ_BACKEND: aws\n        COMFYQ_CLUSTER: !Ref Cluster",
        after="Globals:",
    ),
    Fault(
        "alarm",
        "it watches a metric that nobody writes",
        "MetricName: LiveWorkers",
        "MetricName: Workers",
    ),
    Fault(
        "alarm",
        "CloudWatch may not publish",
        "Service: cloudwatch.amazonaws.com",
        "Service: events.amazonaws.com",
        after="  AlarmTopicPolicy:",
    ),
    Fault("reference", "a name is misspelt", "!Ref JobsQueue", "!Ref JobQueue", after="Globals:"),
    Fault(
        "reference",
        "a circle",
        "PUBLIC_URL: !If [HasPublicUrl, !Ref PublicUrl, !Ref AWS::NoValue]",
        'PUBLIC_URL: !Sub "https://${HttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}"',
    ),
    Fault("property", "a name is misspelt", "VisibilityTimeout: 180", "VisibilityTimeOut: 180"),
    Fault(
        "quantity",
        "the API is throttled to a request a second",
        "ThrottlingRateLimit: 100",
        "ThrottlingRateLimit: 1",
    ),
    Fault(
        "quantity",
        "a function has too little memory",
        "MemorySize: 1024",
        "MemorySize: 128",
        after="Globals:",
    ),
    Fault(
        "reference",
        "a rule picks from a list",
        '!EachMemberEquals [!Ref SubnetIds, ""]',
        '!Equals [!Select [0, !Ref SubnetIds], ""]',
        after="Rules:",
    ),
)
