#!/usr/bin/env bash
# Publishes the programs as native code into out/bin. Names as arguments limit it to those programs.
set -euo pipefail
cd "$(dirname "$0")/.."
framework=${HULL_FRAMEWORK:-$(sed -n "s/.*== ''\">\(net[0-9.]*\)<.*/\1/p" Directory.Build.props)}
programs=("$@")
[ ${#programs[@]} -gt 0 ] || programs=(hull-runtime hull-shim hull-init hull-agent hull-vm hull-registry hulld hull)
mkdir -p out/bin
for program in "${programs[@]}"; do
    dotnet publish "app/$program" -c Release -r linux-x64 -p:HullFramework="$framework" -v q --nologo
    install -m 755 "out/build/$framework/publish/$program/release_linux-x64/$program" out/bin/
    # The SDK's own stripping does not understand a static program.
    [ "$program" != hull-init ] || strip out/bin/hull-init
done
