# The commands of the project. Each sets up what it needs; see README.md.
PREFIX ?= /usr/local
.PHONY: build test test-v2 demo bench soak fuzz install clean compat

build:
	eng/deps.sh build run
	eng/build.sh

test:
	eng/deps.sh test
	eng/build.sh
	eng/test.sh

# The runtime's conformance suite, whole, in a machine that has cgroup v2 only.
test-v2:
	eng/deps.sh test
	eng/build.sh hull-runtime
	dotnet build test/Contracts/Hull.RuntimeContract.Tests -v q --nologo
	dotnet build test/Unit/Hull.Linux.Tests -v q --nologo
	eng/guest/run.sh

# The code must compile for the next framework unchanged (its native pack is not needed for that), and the client for other systems. The portable build is what
# macOS runs (dotnet hull.dll); a Windows one is built by its own identifier as well.
compat:
	dotnet build Hull.slnx -v q --nologo -p:HullFramework=net10.0 -p:PublishAot=false
	dotnet build app/hull -r win-x64 --self-contained false -v q --nologo -p:HullFramework=net10.0 -p:PublishAot=false \
		-p:UseAppHost=false -p:ArtifactsPath=$(CURDIR)/out/build/win-x64

demo:
	eng/deps.sh build run demo
	eng/build.sh
	eng/demo.sh

bench:
	eng/deps.sh bench
	eng/build.sh
	bench/run.sh

soak:
	eng/deps.sh test
	eng/build.sh
	HULL_SOAK=1 HULL_SUITE_TIMEOUT=86400 eng/test.sh Faults Fuzz

fuzz:
	eng/deps.sh test
	HULL_SOAK=1 HULL_SUITE_TIMEOUT=86400 eng/test.sh Fuzz

install: build
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 out/bin/* $(DESTDIR)$(PREFIX)/bin/

clean:
	rm -rf out
