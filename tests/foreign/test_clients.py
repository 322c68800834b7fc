#!/usr/bin/env python3
"""The mock SAP judged by clients that other people wrote: pyodata (OData V2, made by SAP) and python-odata (V4). Each reads
$metadata, creates an equipment, searches and reads it, and changes it under its ETag; the mock's own log says what had effect.

usage: test_clients.py BUILT     the folder of hourbell; run by script/test-foreign, in the venv that it makes"""
import datetime
import json
import os
import re
import subprocess
import sys
import traceback
import urllib.request
from decimal import Decimal

import pyodata
import requests
from odata import ODataService
from odata.exceptions import ODataError
from odata.flags import ODataServerFlags
from odata.metadata import MetaData
from odata.property import StringProperty

V2, V4 = "/sap/opu/odata/sap/API_EQUIPMENT", "/sap/opu/odata4/sap/api_equipment/srvd_a2x/sap/equipment/0001"
END = datetime.datetime(9999, 12, 31, tzinfo=datetime.timezone.utc)
TESTS = []


def test(function):
    TESTS.append(function)
    return function


class DateProperty(StringProperty):
    """python-odata has no Edm.Date, and would write one in an address as a text."""

    def escape_value(self, value):
        return value


MetaData.property_types["Edm.Date"] = DateProperty


class Mock:
    def __init__(self, built):
        environment = {**os.environ, "HOURBELL_MOCK_USER": "hourbell", "HOURBELL_MOCK_PASSWORD": "secret"}
        self.process = subprocess.Popen([os.path.join(built, "hourbell"), "mock-sap", "--control", "--bind", "127.0.0.1:0"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        self.base = re.search(r"http://[^/]*", self.process.stdout.readline())[0]

    def session(self, root):
        """Logged on, with a token and its cookies."""
        session = requests.Session()
        session.auth = ("hourbell", "secret")
        answer = session.head(f"{self.base}{root}/", headers={"X-CSRF-Token": "Fetch"})
        assert answer.status_code == 200, answer.status_code
        session.headers["X-CSRF-Token"] = answer.headers["x-csrf-token"]
        return session

    def switch(self, **switches):
        request = urllib.request.Request(f"{self.base}/_mock/switches", json.dumps(switches).encode(), {"content-type": "application/json"})
        assert urllib.request.urlopen(request, timeout=20).status == 200

    def lines(self, name):
        with urllib.request.urlopen(f"{self.base}/_mock/{name}", timeout=20) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def effects(mock):
    return sum(line["effect"] for line in mock.lines("log"))


@test
def pyodata_reads_the_metadata_of_v2(mock):
    service = pyodata.Client(f"{mock.base}{V2}", mock.session(V2))
    assert [s.name for s in service.schema.entity_sets] == ["Equipment"], service.schema.entity_sets
    equipment = service.schema.entity_type("EquipmentType")
    assert [k.name for k in equipment.key_proprties] == ["Equipment", "ValidityEndDate"], equipment.key_proprties
    assert equipment.proprty("EquipmentName").max_length == 40 and equipment.proprty("GrossWeight").typ.name == "Edm.Decimal"
    assert not equipment.proprty("WorkCenterPlant").updatable and not equipment.proprty("CreationDate").creatable


@test
def pyodata_creates_reads_and_patches_in_v2(mock):
    service = pyodata.Client(f"{mock.base}{V2}", mock.session(V2))
    made = service.entity_sets.Equipment.create_entity().set(
        EquipmentCategory="M", EquipmentName="Pump 7", YY1_DEVICE_NAME="it's", GrossWeight="12.5",
        OperationStartDate=datetime.datetime(1965, 3, 1, tzinfo=datetime.timezone.utc)).execute()
    key = {"Equipment": made.Equipment, "ValidityEndDate": END}
    assert made.ValidityEndDate == END and made.EquipmentName == "Pump 7", made
    found = service.entity_sets.Equipment.get_entities().filter("YY1_DEVICE_NAME eq 'it''s'").top(2).execute()
    assert [one.Equipment for one in found] == [made.Equipment]
    before = effects(mock)
    update = service.entity_sets.Equipment.update_entity(**key).set(EquipmentName="Pump 8")
    try:
        update.execute()
        raise AssertionError("a change without If-Match must be refused")
    except pyodata.exceptions.HttpError as refused:
        assert refused.response.status_code == 428, refused.response.status_code
    update = service.entity_sets.Equipment.update_entity(**key).set(EquipmentName="Pump 8")
    update.add_headers({"If-Match": made.etag})
    update.execute()
    read = service.entity_sets.Equipment.get_entity(**key).execute()
    assert (read.EquipmentName, read.GrossWeight, read.OperationStartDate.year) == ("Pump 8", "12.500", 1965), read
    assert read.etag != made.etag and effects(mock) == before + 1


@test
def pyodata_is_told_what_is_wrong_in_v2(mock):
    service = pyodata.Client(f"{mock.base}{V2}", mock.session(V2))
    try:
        service.entity_sets.Equipment.create_entity().set(EquipmentCategory="M", MaintenancePlant="9Z99").execute()
        raise AssertionError("a plant that does not exist must be refused")
    except pyodata.exceptions.HttpError as refused:
        assert "Plant 9Z99 does not exist" in refused.response.text, refused


def v4(mock, session):
    service = ODataService(f"{mock.base}{V4}", session=session, reflect_entities=True, quiet_progress=True,
                           server_flags=ODataServerFlags(skip_null_properties=True))
    return service, service.entities["Equipment"]


@test
def python_odata_reads_the_metadata_of_v4(mock):
    _, equipment = v4(mock, mock.session(V4))
    properties = {p.name: p for _, p in equipment().__odata__.properties}
    assert {"Equipment", "ValidityEndDate"} == {n for n, p in properties.items() if p.primary_key}, properties
    assert {"EquipmentName", "GrossWeight", "OperationStartDate"} <= set(properties), properties


@test
def python_odata_creates_reads_and_patches_in_v4(mock):
    session = mock.session(V4)
    service, equipment = v4(mock, session)
    new = equipment()
    new.EquipmentCategory, new.EquipmentName, new.YY1_DEVICE_NAME, new.GrossWeight = "M", "Pump 7", "valve 9", Decimal("12.5")
    service.save(new)
    assert new.Equipment and new.GrossWeight == Decimal("12.5"), new.Equipment
    found = service.query(equipment).filter(equipment.YY1_DEVICE_NAME == "valve 9").all()
    assert [one.Equipment for one in found] == [new.Equipment]
    url = f"{mock.base}{V4}/Equipment(Equipment='{new.Equipment}',ValidityEndDate=9999-12-31)"
    read, before = session.get(url).json(), effects(mock)
    found[0].EquipmentName = "Pump 8"
    try:
        service.save(found[0])
        raise AssertionError("a change without If-Match must be refused")
    except ODataError as refused:
        assert "428" in refused.status_code, refused.status_code
    service.default_context.save(found[0], extra_headers={"If-Match": read["@odata.etag"]})
    again = session.get(url).json()
    assert again["EquipmentName"] == "Pump 8" and again["@odata.etag"] != read["@odata.etag"], again
    assert effects(mock) == before + 1


@test
def python_odata_is_told_what_is_wrong_in_v4(mock):
    service, equipment = v4(mock, mock.session(V4))
    new = equipment()
    new.EquipmentCategory, new.MaintenancePlant = "M", "9Z99"
    try:
        service.save(new)
        raise AssertionError("a plant that does not exist must be refused")
    except ODataError as refused:
        assert refused.message == "Plant 9Z99 does not exist" and refused.code == "ZHB/002", refused


def main():
    failed = 0
    mock = Mock(sys.argv[1])
    try:
        for function in TESTS:
            try:
                function(mock)
            except Exception:  # each says its own
                failed += 1
                print(f"FAILED  {function.__name__}\n{traceback.format_exc()}", flush=True)
    finally:
        mock.close()
    print(f"{len(TESTS) - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
