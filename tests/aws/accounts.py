#!/usr/bin/env python3
"""accounts.py PORT: moto as several accounts and regions, with stack sets as AWS documents them. moto 5.2.5 makes their stacks, but names
them with a colon, which most services refuse; takes overrides instead of the parameters, not on top of them; and updates nothing. Here an
update changes the stacks of the accounts and regions that it names; if it brings something new, all others become OUTDATED. A fault that a test asks for:
an instance whose account and region stand in the stack set's parameter FailIn does not take an update."""
import sys
import uuid

from moto import server
from moto.cloudformation import models, parsing

make_stack = models.StackInstance.__init__


def stack_instance(self, account_id, region_name, stackset_id, stack_name, name, template, parameters, permission_model):
    overrides = {p["ParameterKey"]: p["ParameterValue"] for p in parameters} if isinstance(parameters, list) else {}
    owner = next(s for backends in models.cloudformation_backends.values() for b in backends.values()
                 for s in b.stacksets.values() if s.id == stackset_id)
    self.overrides, self.status = overrides, "CURRENT"
    create = models.CloudFormationBackend.create_stack
    unique = f"StackSet-{name}-{uuid.uuid4()}"

    def named(backend, **arguments):
        return create(backend, **{**arguments, "name": unique})
    models.CloudFormationBackend.create_stack = named
    try:
        make_stack(self, account_id, region_name, stackset_id, unique, name, owner.template, {**owner.parameters, **overrides}, permission_model)
    finally:
        models.CloudFormationBackend.create_stack = create


def to_dict(self):
    return {"StackId": self.stack.stack_id, "StackSetId": self.stackset_id, "Region": self.region_name, "Account": self.account_id,
            "Status": self.status, "StackInstanceStatus": {"DetailedStatus": "SUCCEEDED" if self.status == "CURRENT" else "FAILED"},
            "ParameterOverrides": [{"ParameterKey": k, "ParameterValue": v} for k, v in self.overrides.items()]}


def update(self, template, description, parameters, tags, admin_role, execution_role, accounts, regions, operation_id):
    changed = (template or self.template, parameters or self.parameters) != (self.template, self.parameters)
    self.template, self.parameters = template or self.template, parameters or self.parameters
    failed = False
    for instance in self.instances.stack_instances:
        if accounts and (instance.account_id not in accounts or instance.region_name not in regions):
            instance.status = "OUTDATED" if changed else instance.status
            continue
        if f"{instance.account_id}/{instance.region_name}" == self.parameters.get("FailIn") or failed:
            instance.status, failed = "OUTDATED", True
            continue
        instance.stack.update(self.template, None, {**self.parameters, **instance.overrides}, None)
        instance.status = "CURRENT"
    return self._create_operation(operation_id=operation_id, action="UPDATE", status="FAILED" if failed else "SUCCEEDED",
                                  accounts=accounts, regions=regions)


# What stands on an alias or an alarm, which moto does not make, is passed over like every type that it does not know.
for kind in ("AWS::Lambda::EventSourceMapping", "AWS::Lambda::Permission", "AWS::Scheduler::Schedule", "AWS::StepFunctions::StateMachine",
             "AWS::CloudWatch::Dashboard"):
    parsing.get_model_map().pop(kind, None)
models.StackInstance.__init__ = stack_instance
models.StackInstance.to_dict = to_dict
models.StackSet.update = update
server.main(["-H", "127.0.0.1", "-p", sys.argv[1]])
