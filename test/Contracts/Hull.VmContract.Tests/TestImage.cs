using Hull.Hypervisor.Disks;
using Hull.Testing;

namespace Hull.VmContract.Tests;

/// <summary>A small image of two layers: busybox and its links, and a file above it.</summary>
public static class TestImage
{
    public static LayerDisk Make(TemporaryDirectory directory)
    {
        var busybox = Require.Program("busybox");
        var mkfs = Require.Program("mkfs.erofs");
        Command.Shell($"""
            set -e; cd {directory.Path}
            mkdir -p l0/bin l0/etc l0/proc l0/sys l0/dev l0/tmp l1/etc
            cp {busybox} l0/bin/busybox
            for name in sh true false echo cat ls sleep id env uname stty tty hostname kill ps ip wget dd sync mkdir touch head od tr date; do ln -s busybox l0/bin/$name; done
            echo base > l0/etc/layer; : > l0/etc/machine-id; echo base > l0/etc/base
            echo 'root:x:0:0:root:/:/bin/sh' > l0/etc/passwd; echo 'root:x:0:' > l0/etc/group
            echo top > l1/etc/layer
            {mkfs} --quiet l0.erofs l0; {mkfs} --quiet l1.erofs l1
            """).Ok();
        return new LayerDisk(directory["layers.vmdk"], [directory["l0.erofs"], directory["l1.erofs"]]);
    }
}
