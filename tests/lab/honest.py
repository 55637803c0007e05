#!/usr/bin/env python3
"""Is an EC2 endpoint honest? Runs every call that evenkeel makes with boto3 and with the AWS CLI, and holds each raw
answer against botocore's own model of the service: no element the model does not know, no required member missing, no
value of another type, no error without code, message and request id.

    honest.py URL            all of it on URL
    honest.py URL MOTO_URL   and then what moto also does on both: what moto shows, URL must show too

Prints what is wrong, one line each, and ends with 1; or how much was checked, and ends with 0.
"""

import base64
import contextlib
import io
import json
import os
import re
import sys
import time
from xml.etree import ElementTree

# This folder has a file named as a package is.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != HERE]

os.environ.update(
    AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_PAGER="",
)  # fmt: skip

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

AMI = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
ZONE = "us-east-1a"
# Long enough for a busy machine; a good one needs a few seconds.
PATIENCE = 120

wrong = []
checked = {"answers": 0, "elements": 0, "refusals": 0, "commands": 0}


def complain(about, says):
    line = f"{about}: {says}"
    if line not in wrong:
        wrong.append(line)


# ---- answers against the model


def local(tag):
    return tag.rsplit("}", 1)[-1]


def known(shape):
    """Members of a structure by the name they have on the wire."""
    return {m.serialization.get("name", name): (name, m) for name, m in shape.members.items()}


def check(about, shape, element):
    checked["elements"] += 1
    kind = shape.type_name
    if kind == "structure":
        members, seen = known(shape), set()
        for child in element:
            name = local(child.tag)
            if name in ("requestId", "return") and "/" not in about:
                continue
            if name not in members:
                complain(about, f"<{name}> is not in botocore's model")
                continue
            if name in seen:
                complain(about, f"<{name}> stands there twice")
            seen.add(name)
            check(f"{about}/{name}", members[name][1], child)
        for name, (member, _) in members.items():
            if member in shape.required_members and name not in seen:
                complain(about, f"<{name}> is required and missing")
        if (element.text or "").strip() or element.attrib:
            complain(about, "a structure with text or attributes")
    elif kind == "list":
        for child in element:
            if local(child.tag) != shape.member.serialization.get("name", "member"):
                complain(about, f"<{local(child.tag)}> in a list")
            check(f"{about}[]", shape.member, child)
    else:
        text = element.text or ""
        if len(element):
            complain(about, "elements where a value should be")
        forms = {
            "boolean": r"true|false",
            "integer": r"-?\d+",
            "long": r"-?\d+",
            # EC2 writes milliseconds, STS none.
            "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z",
        }
        if kind in forms and not re.fullmatch(forms[kind], text):
            complain(about, f"{text!r} is no {kind}")
        if kind == "string" and getattr(shape, "enum", None) and text and text not in shape.enum:
            complain(about, f"{text!r} is none of {', '.join(shape.enum)}")


def check_refusal(about, body, status):
    checked["refusals"] += 1
    root = ElementTree.fromstring(body)
    errors = root.findall("Errors/Error")
    if local(root.tag) != "Response" or len(errors) != 1 or not root.findtext("RequestID"):
        complain(about, f"a refusal of another form: {body[:200]}")
    for error in errors:
        if [local(child.tag) for child in error] != ["Code", "Message"] or not all(child.text for child in error):
            complain(about, f"a refusal without code or message: {body[:200]}")
    if not 400 <= status < 600:
        complain(about, f"a refusal with status {status}")


def look_at(operation_model, response_dict, **_):
    about, body, status = operation_model.name, response_dict["body"], response_dict["status_code"]
    if not response_dict["headers"].get("x-amzn-requestid"):
        complain(about, "no x-amzn-requestid")
    if operation_model.service_model.service_name == "ssm":
        checked["answers"] += 1
        answer = json.loads(body)
        if status == 200 and set(answer["Parameter"]) - set(operation_model.output_shape.members["Parameter"].members):
            complain(about, f"unknown members in {sorted(answer['Parameter'])}")
        return
    if operation_model.service_model.service_name == "service-quotas":
        checked["answers"] += 1
        answer = json.loads(body)
        if status == 200 and set(answer["Quota"]) - set(operation_model.output_shape.members["Quota"].members):
            complain(about, f"unknown members in {sorted(answer['Quota'])}")
        return
    if operation_model.service_model.service_name == "sts":
        checked["answers"] += 1
        root = ElementTree.fromstring(body)
        parts = [f"{about}Result", "ResponseMetadata"] if status == 200 else ["Error", "RequestId"]
        if [local(child.tag) for child in root] != parts:
            complain(about, f"another form: {body[:200]}")
        if status == 200:
            check(f"{about}/Result", operation_model.output_shape, root[0])
        return
    if status >= 300:
        check_refusal(about, body, status)
        return
    checked["answers"] += 1
    root = ElementTree.fromstring(body)
    if root.tag != "{http://ec2.amazonaws.com/doc/2016-11-15/}" + about + "Response":
        complain(about, f"its root is {root.tag}")
    if not root.findtext("{http://ec2.amazonaws.com/doc/2016-11-15/}requestId"):
        complain(about, "no requestId")
    if operation_model.output_shape is not None:
        check(about, operation_model.output_shape, root)
    elif root.findtext("{http://ec2.amazonaws.com/doc/2016-11-15/}return") != "true":
        complain(about, "no <return>true</return>")


def clients(url, watched):
    # No tries behind our back.
    config = Config(retries={"total_max_attempts": 1})
    made = [boto3.client(name, endpoint_url=url, config=config) for name in ("ec2", "ssm", "sts")]
    for client in made if watched else []:
        client.meta.events.register("before-parse", look_at)
    return made


# ---- the story


def refused(code, call, **parameters):
    try:
        call(**parameters)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        if found != code:
            complain(call.__name__, f"refused with {found} and not {code}: {error}")
        return
    complain(call.__name__, f"not refused; {code} was due")


def until(what, ask):
    deadline = time.monotonic() + PATIENCE
    while not ask():
        if time.monotonic() > deadline:
            complain(what, f"not so after {PATIENCE} s")
            return
        time.sleep(0.01)


def states(ec2, ids):
    found = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    return {i["InstanceId"]: i["State"]["Name"] for r in found for i in r["Instances"]}


def in_a_role(sts, account):
    """Keys of a role are taken for the role's; those of a role in another account are not to be had."""
    asked = {"RoleArn": f"arn:aws:iam::{account}:role/teams/ops", "RoleSessionName": "judge"}
    made = sts.assume_role(**asked, DurationSeconds=900)
    keys = {"aws_access_key_id": "AccessKeyId", "aws_secret_access_key": "SecretAccessKey"}
    keys = {ours: made["Credentials"][theirs] for ours, theirs in keys.items()}
    for token, arn in (
        (made["Credentials"]["SessionToken"], f"arn:aws:sts::{account}:assumed-role/ops/judge"),
        ("forged", None),
    ):
        there = boto3.client("sts", endpoint_url=sts.meta.endpoint_url, aws_session_token=token, **keys)
        try:
            seen = there.get_caller_identity()["Arn"]
        except ClientError as refused:
            assert refused.response["Error"]["Code"] == "InvalidClientTokenId", refused
            seen = None
        if seen != arn:
            complain("AssumeRole", f"with its keys one is {seen} and not {arn}")
    try:
        sts.assume_role(RoleArn="arn:aws:iam::999999999999:role/ops", RoleSessionName="judge")
        complain("AssumeRole", "another account's role is not refused")
    except ClientError as refused:
        assert refused.response["Error"]["Code"] == "AccessDenied", refused


def limits(url, ec2):
    """What the account may have, and how large a machine is."""
    quotas = boto3.client("service-quotas", endpoint_url=url, config=Config(retries={"total_max_attempts": 1}))
    quotas.meta.events.register("before-parse", look_at)
    for code in ("L-1216C47A", "L-34B43A08"):
        assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"] > 0
    for service, code in (("ec2", "L-0"), ("vpc", "L-1216C47A")):
        try:
            quotas.get_service_quota(ServiceCode=service, QuotaCode=code)
            complain("GetServiceQuota", f"{service} {code} is not refused")
        except quotas.exceptions.NoSuchResourceException:
            pass
    types = ec2.describe_instance_types(InstanceTypes=["t3.small", "t3.micro"])["InstanceTypes"]
    assert {t["InstanceType"]: t["VCpuInfo"]["DefaultVCpus"] for t in types} == {"t3.small": 2, "t3.micro": 2}
    refused("InvalidInstanceType", ec2.describe_instance_types, InstanceTypes=["t3.none"])


def tell(ec2, ssm, sts):
    """Every call once at least, as boto3 makes it; what must be refused is."""
    account = sts.get_caller_identity()["Account"]
    assert re.fullmatch(r"\d{12}", account)
    in_a_role(sts, account)
    ami = ssm.get_parameter(Name=AMI)["Parameter"]["Value"]
    try:
        ssm.get_parameter(Name="/no/such")
        complain("GetParameter", "an unknown name is not refused")
    except ssm.exceptions.ParameterNotFound:
        pass

    zones = {z["ZoneName"] for z in ec2.describe_availability_zones()["AvailabilityZones"]}
    assert ZONE in zones
    subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    assert {s["AvailabilityZone"] for s in subnets} == zones
    groups = {g["GroupName"]: g["GroupId"] for g in ec2.describe_security_groups(MaxResults=5)["SecurityGroups"]}
    images = ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": ["al2023-*"]}])["Images"]
    assert ami in {i["ImageId"] for i in images}

    launch = dict(
        ImageId=ami, InstanceType="t3.small", MinCount=3, MaxCount=3, ClientToken="token-1",
        Placement={"AvailabilityZone": ZONE}, SecurityGroupIds=[groups["web"]], KeyName="ops",
        IamInstanceProfile={"Name": "web"}, UserData="#!/bin/sh\necho <&>\n", Monitoring={"Enabled": True},
        BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 10, "VolumeType": "gp3"}}],
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "a <&> \"b\" 'c' ü"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "of", "Value": "web"}]},
        ],
    )  # fmt: skip
    refused("DryRunOperation", ec2.run_instances, DryRun=True, **launch)
    made = ec2.run_instances(**launch)
    ids = [i["InstanceId"] for i in made["Instances"]]
    assert [i["AmiLaunchIndex"] for i in made["Instances"]] == [0, 1, 2]
    again = ec2.run_instances(**launch)
    assert [i["InstanceId"] for i in again["Instances"]] == ids and again["ReservationId"] == made["ReservationId"]
    refused("IdempotentParameterMismatch", ec2.run_instances, **{**launch, "InstanceType": "t3.large"})
    refused("InvalidAMIID.NotFound", ec2.run_instances, **{**launch, "ImageId": "ami-0", "ClientToken": "x"})
    refused("InvalidParameterValue", ec2.run_instances, **{**launch, "MinCount": 4, "ClientToken": "y"})

    until("visible", lambda: len(states_or_none(ec2, ids)) == 3)
    until("running", lambda: set(states(ec2, ids).values()) == {"running"})
    shown = ec2.describe_instances(InstanceIds=ids[:1])["Reservations"][0]["Instances"][0]
    assert shown["Tags"] == launch["TagSpecifications"][0]["Tags"], shown["Tags"]
    assert shown["ClientToken"] == "token-1" and shown["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    pages = list(ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}))
    assert sum(len(r["Instances"]) for p in pages for r in p["Reservations"]) >= 3
    for call in (ec2.describe_instances, ec2.describe_volumes, ec2.describe_instance_status):
        refused("InvalidParameterValue", call, MaxResults=1001)
        refused("InvalidParameterValue", call, MaxResults=4)
    for call in (ec2.describe_instances, ec2.describe_volumes, ec2.describe_instance_status, ec2.describe_subnets):
        refused("InvalidNextToken", call, MaxResults=5, NextToken="nonsense")
    refused("InvalidParameterValue", ec2.describe_instances, Filters=[{"Name": "colour", "Values": ["red"]}])
    refused("InvalidInstanceID.NotFound", ec2.describe_instances, InstanceIds=["i-0123456789abcdef0"])
    refused("InvalidInstanceID.Malformed", ec2.describe_instances, InstanceIds=["web/1"])

    one = ids[0]
    until(
        "checks", lambda: ec2.describe_instance_status(InstanceIds=[one])["InstanceStatuses"][0]["InstanceStatus"]
        ["Status"] == "ok",
    )  # fmt: skip
    ec2.describe_instance_status(IncludeAllInstances=True)
    for attribute in ("userData", "disableApiTermination", "instanceType", "groupSet"):
        read = ec2.describe_instance_attribute(InstanceId=one, Attribute=attribute)
        if attribute == "userData":
            assert base64.b64decode(read["UserData"]["Value"]).decode() == launch["UserData"]

    ec2.modify_instance_attribute(InstanceId=one, DisableApiTermination={"Value": True})
    refused("OperationNotPermitted", ec2.terminate_instances, InstanceIds=ids)
    ec2.modify_instance_attribute(InstanceId=one, DisableApiTermination={"Value": False})
    ec2.modify_instance_attribute(InstanceId=one, Groups=[groups["db"]])
    refused("IncorrectInstanceState", ec2.modify_instance_attribute, InstanceId=one, InstanceType={"Value": "t3.large"})
    ec2.modify_instance_metadata_options(InstanceId=one, HttpTokens="optional")
    ec2.unmonitor_instances(InstanceIds=ids[:2])
    ec2.monitor_instances(InstanceIds=ids[:2])

    of_one = [{"Name": "instance-id", "Values": [one]}, {"Name": "state", "Values": ["associated"]}]
    asked = ec2.describe_iam_instance_profile_associations
    held = asked(Filters=of_one)["IamInstanceProfileAssociations"][0]
    refused("IncorrectState", ec2.associate_iam_instance_profile, InstanceId=one, IamInstanceProfile={"Name": "db"})
    ec2.replace_iam_instance_profile_association(AssociationId=held["AssociationId"], IamInstanceProfile={"Name": "db"})
    refused(
        "InvalidAssociationID.NotFound",
        ec2.disassociate_iam_instance_profile, AssociationId=held["AssociationId"],
    )  # fmt: skip
    held = asked(Filters=of_one)["IamInstanceProfileAssociations"][0]
    ec2.disassociate_iam_instance_profile(AssociationId=held["AssociationId"])
    ec2.associate_iam_instance_profile(InstanceId=one, IamInstanceProfile={"Name": "web"})

    ec2.create_tags(Resources=ids, Tags=[{"Key": "team", "Value": "ops"}, {"Key": "empty", "Value": ""}])
    ec2.delete_tags(Resources=ids, Tags=[{"Key": "team", "Value": "another"}])
    ec2.delete_tags(Resources=ids, Tags=[{"Key": "empty"}])
    shown = ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]
    assert {t["Key"] for t in shown["Tags"]} == {"Name", "team"}

    tags = [{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "v"}]}]
    volume = dict(AvailabilityZone=ZONE, Size=10, VolumeType="gp3", ClientToken="v-1", TagSpecifications=tags)
    refused("DryRunOperation", ec2.create_volume, DryRun=True, **volume)
    vol = ec2.create_volume(**volume)["VolumeId"]
    assert ec2.create_volume(**volume)["VolumeId"] == vol
    refused("IdempotentParameterMismatch", ec2.create_volume, **{**volume, "Size": 11})
    far = ec2.create_volume(AvailabilityZone="us-east-1b", Size=10, VolumeType="gp3")["VolumeId"]
    for v in (vol, far):
        until("available", lambda v=v: volume_state(ec2, v) == "available")
    refused("InvalidVolume.ZoneMismatch", ec2.attach_volume, VolumeId=far, InstanceId=one, Device="/dev/sdg")
    ec2.attach_volume(VolumeId=vol, InstanceId=one, Device="/dev/sdg")
    refused("VolumeInUse", ec2.attach_volume, VolumeId=vol, InstanceId=ids[1], Device="/dev/sdg")
    refused("VolumeInUse", ec2.delete_volume, VolumeId=vol)
    ec2.modify_volume(VolumeId=vol, Size=20, Iops=4000)
    refused("VolumeModificationRateExceeded", ec2.modify_volume, VolumeId=vol, Size=30)
    until("attached", lambda: ec2.describe_volumes(VolumeIds=[vol])["Volumes"][0]["Attachments"][0]["State"] == "attached")
    ec2.detach_volume(VolumeId=vol)
    until("free", lambda: volume_state(ec2, vol) == "available")
    for v in (vol, far):
        ec2.delete_volume(VolumeId=v)

    ec2.reboot_instances(InstanceIds=[one])
    ec2.stop_instances(InstanceIds=[one])
    until("stopped", lambda: states(ec2, [one])[one] == "stopped")
    ec2.modify_instance_attribute(InstanceId=one, InstanceType={"Value": "t3.large"})
    ec2.start_instances(InstanceIds=[one])
    until("running", lambda: states(ec2, [one])[one] == "running")
    refused("DryRunOperation", ec2.terminate_instances, DryRun=True, InstanceIds=ids)
    ended = ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"]
    assert {(e["PreviousState"]["Name"], e["CurrentState"]["Name"]) for e in ended} == {("running", "shutting-down")}
    until("terminated", lambda: set(states(ec2, ids).values()) == {"terminated"})
    refused("IdempotentInstanceTerminated", ec2.run_instances, **launch)


def states_or_none(ec2, ids):
    try:
        return states(ec2, ids)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "InvalidInstanceID.NotFound", error
        return {}


def volume_state(ec2, volume):
    try:
        return ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"]
    except ClientError as error:
        assert error.response["Error"]["Code"] == "InvalidVolume.NotFound", error
        return None


# ---- the AWS CLI


def cli(url):
    """The same calls as the AWS CLI makes and reads them."""
    from awscli.clidriver import create_clidriver

    def aws(words, *more):
        # In this process: each start of its own would cost a second.
        out, err = io.StringIO(), io.StringIO()
        arguments = [*words.split(), *more, "--endpoint-url", url, "--output", "json"]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            # A driver remembers its last command and confuses it with the next.
            code = create_clidriver().main(arguments)
        checked["commands"] += 1
        if code != 0:
            complain(f"aws {words}", f"ends with {code}: {err.getvalue().strip()}")
        return json.loads(out.getvalue() or "{}")

    account = aws("sts get-caller-identity")["Account"]
    role = f"arn:aws:iam::{account}:role/ops"
    assert aws(f"sts assume-role --role-arn {role} --role-session-name cli")["Credentials"]["SessionToken"]
    ami = aws(f"ssm get-parameter --name {AMI}")["Parameter"]["Value"]
    assert aws("service-quotas get-service-quota --service-code ec2 --quota-code L-1216C47A")["Quota"]["Value"]
    assert aws("ec2 describe-instance-types --instance-types t3.micro")["InstanceTypes"]
    for words in ("availability-zones", "subnets", "security-groups", "images --owners amazon", "volumes"):
        assert aws(f"ec2 describe-{words}"), words
    run = f"ec2 run-instances --image-id {ami} --instance-type t3.micro --count 1:2 --placement AvailabilityZone={ZONE}"
    tags = "--tag-specifications ResourceType=instance,Tags=[{Key=Name,Value=cli}]"
    ids = [i["InstanceId"] for i in aws(f"{run} {tags} --user-data hello")["Instances"]]
    assert len(ids) == 2
    ec2 = clients(url, False)[0]
    until("visible", lambda: len(states_or_none(ec2, ids)) == 2)
    until("running", lambda: set(states(ec2, ids).values()) == {"running"})
    both, one = " ".join(ids), ids[0]
    shown = aws("ec2 describe-instances --filters Name=tag:Name,Values=cli --max-items 1 --page-size 5")
    assert shown["Reservations"]
    aws(f"ec2 describe-instance-status --include-all-instances --instance-ids {both}")
    aws(f"ec2 describe-instance-attribute --instance-id {one} --attribute userData")
    aws(f"ec2 modify-instance-attribute --instance-id {one} --no-disable-api-termination")
    aws(f"ec2 modify-instance-metadata-options --instance-id {one} --http-tokens optional")
    aws(f"ec2 monitor-instances --instance-ids {both}")
    aws(f"ec2 unmonitor-instances --instance-ids {both}")
    aws(f"ec2 associate-iam-instance-profile --instance-id {one} --iam-instance-profile Name=web")
    held = aws("ec2 describe-iam-instance-profile-associations", "--filters", f"Name=instance-id,Values={one}")
    held = held["IamInstanceProfileAssociations"][0]["AssociationId"]
    swap = f"ec2 replace-iam-instance-profile-association --association-id {held} --iam-instance-profile Name=db"
    held = aws(swap)["IamInstanceProfileAssociation"]["AssociationId"]
    aws(f"ec2 disassociate-iam-instance-profile --association-id {held}")
    aws(f"ec2 create-tags --resources {both} --tags Key=a,Value=b")
    aws(f"ec2 delete-tags --resources {both} --tags Key=a")
    volume = aws(f"ec2 create-volume --availability-zone {ZONE} --size 5 --volume-type gp3")["VolumeId"]
    until("available", lambda: volume_state(ec2, volume) == "available")
    aws(f"ec2 attach-volume --volume-id {volume} --instance-id {one} --device /dev/sdh")
    aws(f"ec2 modify-volume --volume-id {volume} --size 6")
    aws(f"ec2 detach-volume --volume-id {volume}")
    until("free", lambda: volume_state(ec2, volume) == "available")
    aws(f"ec2 delete-volume --volume-id {volume}")
    aws(f"ec2 reboot-instances --instance-ids {both}")
    aws(f"ec2 stop-instances --instance-ids {one}")
    until("stopped", lambda: states(ec2, [one])[one] == "stopped")
    aws(f"ec2 start-instances --instance-ids {one}")
    aws(f"ec2 terminate-instances --instance-ids {both}")


# ---- beside moto

# What moto shows and the sim does not keep. Nobody in evenkeel reads it.
UNKEPT = [
    r"Instances\[\]\.(NetworkInterfaces|CapacityReservationSpecification|HibernationOptions|KernelId|ProductCodes)",
    r"Instances\[\]\.(PrivateDnsName|PublicDnsName|StateReason|StateTransitionReason|CpuOptions|EnclaveOptions)",
    r"(Subnets|Images|SecurityGroups)\[\]\.Tags",
    r"Images\[\]\.(Description|KernelId|RamdiskId|Platform|BlockDeviceMappings\[\]\.Ebs\.SnapshotId|BootMode|ImdsSupport)",
    r"Subnets\[\]\.(MapCustomerOwnedIpOnLaunch|Ipv6Native|BlockPublicAccessStates|EnableDns64|PrivateDnsNameOptions)",
    r"SecurityGroups\[\]\.IpPermissions",
    r"SecurityGroups\[\]\.SecurityGroupArn",
    r"Instances\[\]\.SriovNetSupport",
    # Of session policies, which are refused.
    r"PackedPolicySize",
    # Of a type only its size is asked.
    r"InstanceTypes\[\]\.(?!InstanceType$|VCpuInfo\.DefaultVCpus$|MemoryInfo\.SizeInMiB$)",
]


def members(value, path=""):
    """Paths of all members that are there, and the type of each."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from members(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from members(inner, path + "[]")
    else:
        yield path, type(value).__name__


def shared(ec2, ssm, sts, profile, others):
    """What both can do, answer by answer."""
    answers = {"GetCallerIdentity": sts.get_caller_identity()}
    role = f"arn:aws:iam::{answers['GetCallerIdentity']['Account']}:role/ops"
    answers["AssumeRole"] = sts.assume_role(RoleArn=role, RoleSessionName="beside")
    answers["GetParameter"] = ssm.get_parameter(Name=AMI)
    ami = answers["GetParameter"]["Parameter"]["Value"]
    answers["DescribeAvailabilityZones"] = ec2.describe_availability_zones()
    answers["DescribeSubnets"] = ec2.describe_subnets()
    answers["DescribeSecurityGroups"] = ec2.describe_security_groups()
    answers["DescribeImages"] = ec2.describe_images(ImageIds=[ami])
    group = answers["DescribeSecurityGroups"]["SecurityGroups"][0]["GroupId"]
    answers["RunInstances"] = ec2.run_instances(
        ImageId=ami, InstanceType="t3.small", MinCount=1, MaxCount=1, ClientToken="beside",
        Placement={"AvailabilityZone": ZONE}, SecurityGroupIds=[group], UserData="hello",
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "k", "Value": "v"}]}],
    )  # fmt: skip
    ids = [answers["RunInstances"]["Instances"][0]["InstanceId"]]
    until("visible", lambda: len(states_or_none(ec2, ids)) == 1)
    until("running", lambda: set(states(ec2, ids).values()) == {"running"})
    answers["DescribeInstances"] = ec2.describe_instances(InstanceIds=ids)
    answers["DescribeInstanceStatus"] = ec2.describe_instance_status(InstanceIds=ids)
    asked = ec2.describe_instance_attribute
    answers["DescribeInstanceAttribute"] = asked(InstanceId=ids[0], Attribute="userData")
    answers["CreateVolume"] = ec2.create_volume(AvailabilityZone=ZONE, Size=10, VolumeType="gp3")
    volume = answers["CreateVolume"]["VolumeId"]
    until("available", lambda: volume_state(ec2, volume) == "available")
    answers["AttachVolume"] = ec2.attach_volume(VolumeId=volume, InstanceId=ids[0], Device="/dev/sdh")
    answers["DescribeVolumes"] = ec2.describe_volumes(VolumeIds=[volume])
    answers["ModifyVolume"] = ec2.modify_volume(VolumeId=volume, Size=20)
    until("attached", lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"][0]["State"] == "attached")
    answers["DetachVolume"] = ec2.detach_volume(VolumeId=volume, InstanceId=ids[0], Device="/dev/sdh")
    associate = ec2.associate_iam_instance_profile
    answers["AssociateIamInstanceProfile"] = associate(InstanceId=ids[0], IamInstanceProfile={"Name": profile})
    asked = ec2.describe_iam_instance_profile_associations
    answers["DescribeIamInstanceProfileAssociations"] = asked()
    change = ec2.modify_instance_metadata_options
    answers["ModifyInstanceMetadataOptions"] = change(InstanceId=ids[0], HttpTokens="required")
    answers["MonitorInstances"] = ec2.monitor_instances(InstanceIds=ids)
    answers["StopInstances"] = ec2.stop_instances(InstanceIds=ids)
    until("stopped", lambda: states(ec2, ids)[ids[0]] == "stopped")
    answers["StartInstances"] = ec2.start_instances(InstanceIds=ids)
    answers["UnmonitorInstances"] = ec2.unmonitor_instances(InstanceIds=ids)
    until("running", lambda: states(ec2, ids)[ids[0]] == "running")
    answers["RebootInstances"] = ec2.reboot_instances(InstanceIds=ids)
    answers["CreateTags"] = ec2.create_tags(Resources=ids, Tags=[{"Key": "team", "Value": "ops"}])
    answers["DeleteTags"] = ec2.delete_tags(Resources=ids, Tags=[{"Key": "team"}])
    change = ec2.modify_instance_attribute
    answers["ModifyInstanceAttribute"] = change(InstanceId=ids[0], Groups=[group])
    held = answers["DescribeIamInstanceProfileAssociations"]["IamInstanceProfileAssociations"][0]["AssociationId"]
    swap = ec2.replace_iam_instance_profile_association
    swapped = swap(AssociationId=held, IamInstanceProfile={"Name": others})
    answers["ReplaceIamInstanceProfileAssociation"] = swapped
    held = swapped["IamInstanceProfileAssociation"]["AssociationId"]
    answers["DisassociateIamInstanceProfile"] = ec2.disassociate_iam_instance_profile(AssociationId=held)
    until("free", lambda: volume_state(ec2, volume) == "available")
    answers["DeleteVolume"] = ec2.delete_volume(VolumeId=volume)
    answers["DescribeInstanceTypes"] = ec2.describe_instance_types(InstanceTypes=["t3.small"])
    answers["TerminateInstances"] = ec2.terminate_instances(InstanceIds=ids)
    for action, answer in answers.items():
        answer.pop("ResponseMetadata", None)
    return answers


def refusals(ec2, ami):
    """What both refuse: code and status, call by call."""
    run = dict(ImageId=ami, InstanceType="t3.small", MinCount=1, MaxCount=1, Placement={"AvailabilityZone": ZONE})
    instance, volume = "i-0123456789abcdef0", "vol-0123456789abcdef0"
    asked = {
        "a dry run of a launch": (ec2.run_instances, dict(DryRun=True, **run)),
        "a launch of no image": (ec2.run_instances, {**run, "ImageId": "ami-0123456789abcdef0"}),
        "instances that are not there": (ec2.describe_instances, dict(InstanceIds=[instance])),
        "an end of what is not there": (ec2.terminate_instances, dict(InstanceIds=[instance])),
        "a stop of what is not there": (ec2.stop_instances, dict(InstanceIds=[instance])),
        "volumes that are not there": (ec2.describe_volumes, dict(VolumeIds=[volume])),
        "a deletion of what is not there": (ec2.delete_volume, dict(VolumeId=volume)),
        "images that are not there": (ec2.describe_images, dict(ImageIds=["ami-0123456789abcdef0"])),
        "subnets that are not there": (ec2.describe_subnets, dict(SubnetIds=["subnet-0123456789abcdef0"])),
        "types that are not there": (ec2.describe_instance_types, dict(InstanceTypes=["t3.none"])),
    }
    said = {}
    for what, (call, parameters) in asked.items():
        try:
            call(**parameters)
            said[what] = "not refused"
        except ClientError as error:
            answer = error.response
            said[what] = f"{answer['Error']['Code']} ({answer['ResponseMetadata']['HTTPStatusCode']})"
    return said


def beside(url, moto):
    iam = boto3.client("iam", endpoint_url=moto)
    for name in ("web", "db"):
        iam.create_instance_profile(InstanceProfileName=name)
    ours, theirs = shared(*clients(url, True), "web", "db"), shared(*clients(moto, False), "web", "db")
    compared = 0
    for action, answer in theirs.items():
        have = dict(members(ours[action]))
        for path, kind in members(answer):
            compared += 1
            if any(re.search(pattern, path) for pattern in UNKEPT):
                continue
            if path not in have:
                complain(action, f"moto shows {path}, this does not")
            elif have[path] != kind:
                complain(action, f"{path} is {have[path]}, with moto {kind}")
    ami = [clients(at, False)[1].get_parameter(Name=AMI)["Parameter"]["Value"] for at in (url, moto)]
    here, there = refusals(clients(url, True)[0], ami[0]), refusals(clients(moto, False)[0], ami[1])
    for what, code in there.items():
        compared += 1
        if here[what] != code:
            complain(what, f"{here[what]}, with moto {code}")
    return compared


def sharp(ec2):
    """Would this find anything? Spoilt answers must be complained of."""
    shape = ec2.meta.service_model.operation_model("TerminateInstances").output_shape
    state = "<currentState><code>32</code><name>shutting-down</name></currentState>"
    good = f"<R><requestId>r</requestId><instancesSet><item><instanceId>i-1</instanceId>{state}</item></instancesSet></R>"
    for old, new in [
        ("", ""), ("instancesSet", "instanceSet"), ("<item>", "<items>"), (">32<", ">x<"), ("shutting-down", "ending"),
        ("<instanceId>i-1", "<instanceId>i-1<x/>"), ("<instanceId>", "<instanceId>i-1</instanceId><instanceId>"),
        ("<code>", "text<code>"),
    ]:  # fmt: skip
        spoilt = good.replace(old, new) if old else good
        if new == "<items>":
            spoilt = spoilt.replace("</item>", "</items>")
        before = len(wrong)
        check("sharp", shape, ElementTree.fromstring(spoilt))
        found = wrong[before:]
        del wrong[before:]
        assert bool(found) == bool(old), f"{old} → {new}: {found}"


def main():
    url = sys.argv[1]
    sharp(clients(url, False)[0])
    compared = 0
    try:
        tell(*clients(url, True))
        limits(url, clients(url, True)[0])
        cli(url)
        compared = beside(url, sys.argv[2]) if len(sys.argv) > 2 else 0
    finally:
        # What went wrong before tells why the rest could not go on.
        for line in wrong:
            print(line)
    counts = ", ".join(f"{number} {what}" for what, number in checked.items())
    print(f"{len(wrong)} wrong; {counts}, {compared} values beside moto's")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
