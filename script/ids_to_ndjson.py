#!/usr/bin/env python3
"""The vendors and products of usb.ids and pci.ids as devices for `hourbell import`: one JSON object per line.

    script/ids_to_ndjson.py [usb.ids pci.ids] > devices.ndjson

Real names, as they are: brackets, slashes, ampersands, umlauts, and many that differ only in case. A device is named
"<vendor>" or "<vendor>: <product>"; the same name with another id comes twice, so an importer has something to refuse.
"""
import json
import sys

DEFAULTS = ["/usr/share/misc/usb.ids", "/usr/share/misc/pci.ids"]


def entries(path):
    """Yield (vendor_id, vendor, product_id, product); product_id is None for the vendor itself."""
    vendor_id = vendor = None
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            line = line.rstrip("\n")
            if line.startswith("C ") or line.startswith("# List of known device classes"):
                return  # what follows are classes, not vendors
            if not line.strip() or line.startswith("#") or line.startswith("\t\t"):
                continue
            number, _, name = line.strip().partition("  ")
            if line.startswith("\t"):
                yield vendor_id, vendor, number, name.strip()
            else:
                vendor_id, vendor = number, name.strip()
                yield vendor_id, vendor, None, None


def main():
    out = sys.stdout
    for path in sys.argv[1:] or DEFAULTS:
        bus = "usb" if "usb" in path else "pci"
        for vendor_id, vendor, product_id, product in entries(path):
            attributes = {"bus": bus, "vendor_id": vendor_id, "vendor": vendor}
            name = vendor
            if product_id is not None:
                attributes.update(product_id=product_id, product=product)
                name = f"{vendor}: {product}"
            out.write(json.dumps({"device_name": name, "attributes": attributes}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
