"""Makes the table, queues and bucket of ``template.yaml`` where there is no CloudFormation."""
