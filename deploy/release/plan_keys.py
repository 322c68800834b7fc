"""The plan keys: what the gateway counts requests by, one per role, never seen by clients. The gateway makes their values; the authorizer
reads them from SSM. Two slots, A and B, so that a rotation never leaves the API without a key that counts."""
import os
import time

import stack
import stack_set
from environment import Refused, asks, say

ROLES = ("customer", "operator")
FORGET_S = float(os.environ.get("ROTATE_WAIT_S", "330"))  # the authorizer keeps what it has read for 300 s


def places(environment):
    """(what makes clients, region, stack name) of each stack of an environment."""
    if environment.stack:
        account, _ = environment.account()
        return [(environment.in_account(account), environment.region, environment.stack)]
    found = stack_set.instances(environment)
    by_account = {account: environment.in_account(account) for account, _ in found}
    return [(by_account[account], region, stack_set.stack_name(instance)) for (account, region), instance in sorted(found.items())]


def parameters_now(environment):
    """Of what is out there."""
    if environment.stack:
        return stack.parameters_now(stack.described(environment.client("cloudformation"), environment.stack))
    return stack.parameters_now(stack_set.described(environment))


def slots(environment):
    """The parameter PlanKeys as it is: A, AB or B; None where nothing is metered."""
    now = parameters_now(environment)
    return (now.get("PlanKeys") or "A") if has_keys(environment) else None


def has_keys(environment):
    return any("PlanKey" in name for make, region, name in places(environment)
               for name in stack.outputs(stack.described(make("cloudformation", region), name)))


def put(environment, slot):
    """The values of one slot into SSM, in every account and region. What is there already is not written again."""
    prefix = environment.parameters.get("SecretsPrefix", "/hourbell")
    for make, region, name in places(environment):
        found = stack.outputs(stack.described(make("cloudformation", region), name))
        ssm = make("ssm", region)
        for role in ROLES:
            key = found.get(f"PlanKey{role.capitalize()}{slot}")
            if not key:
                raise Refused(f"{name} in {region} has no plan key {role} {slot}")
            value = make("apigateway", region).get_api_key(apiKey=key, includeValue=True)["value"]
            parameter = f"{prefix}/plan_key/{role}"
            if value_of(ssm, parameter) != value:
                ssm.put_parameter(Name=parameter, Value=value, Type="SecureString", Overwrite=True)
                say(f"  {name} {region}: {parameter} is the key of slot {slot}")


def value_of(ssm, name):
    try:
        return ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    except ssm.exceptions.ClientError as error:
        if asks(error, "ParameterNotFound"):
            return None
        raise


def newer(environment):
    """Of two slots that both stand, the one whose keys were made last: where a rotation broke off."""
    make, region, name = places(environment)[0]
    found = stack.outputs(stack.described(make("cloudformation", region), name))
    gateway = make("apigateway", region)
    return max("AB", key=lambda slot: gateway.get_api_key(apiKey=found[f"PlanKeyCustomer{slot}"])["createdDate"])


def set_slots(environment, value):
    """The deployed template with another PlanKeys; nothing else changes, so no code rolls out."""
    say(f"{environment.name}: PlanKeys={value}")
    now = parameters_now(environment)
    if environment.stack:
        stack.update(environment, {**now, "PlanKeys": value})
        return
    for accounts in (environment.pilot, environment.accounts):
        here = [place for place in stack_set.instances(environment) if place[0] in accounts]
        if here:
            stack_set.update(environment, {"parameters": {**now, "PlanKeys": value}}, here)


def rotate(environment):
    """Both slots; the new one's value into SSM; when nobody uses the old one any more, it goes."""
    now = slots(environment)
    if not now:
        raise Refused(f"{environment.name} has no usage plans: there is nothing to rotate")
    if now == "AB":
        new = newer(environment)
        say(f"{environment.name}: a rotation broke off; it goes on with slot {new}")
    else:
        new = "B" if now == "A" else "A"
        set_slots(environment, "AB")
    put(environment, new)
    say(f"{environment.name}: waiting {FORGET_S:.0f} s, until no authorizer remembers the old keys")
    time.sleep(FORGET_S)
    set_slots(environment, new)
