using Hull.Hypervisor.Sandboxes;
using Hull.Linux.Files;

namespace Hull.VmContract.Tests;

/// <summary>What tenants share of a template and what not.</summary>
public sealed class TenantTests(VmFixture vm)
{
    [Fact]
    public async Task Tenants_share_the_files_of_a_template_and_no_page_of_its_memory()
    {
        var one = await vm.Templates.GetAsync("one", SandboxShape.Default, vm.Guest);
        var other = await vm.Templates.GetAsync("other", SandboxShape.Default, vm.Guest);
        Assert.Equal(one.StatePath, other.StatePath);
        Assert.NotEqual(one.Key, other.Key);
        Assert.NotEqual(one.Memory.Descriptor.Stat().Inode, other.Memory.Descriptor.Stat().Inode);
        Assert.True(other.Memory.Sealed);
        Assert.Same(one, await vm.Templates.GetAsync("one", SandboxShape.Default, vm.Guest));
        // Another's machine begins from it as from the first.
        await using var machine = await SandboxMachine.CloneAsync(vm.Hypervisor, other, new SandboxOptions("tenant"));
        await machine.Agent.HelloAsync();
    }

    [Fact]
    public async Task A_template_that_was_given_up_is_read_again_and_its_machines_go_on()
    {
        var first = await vm.Templates.GetAsync("leaving", SandboxShape.Default, vm.Guest);
        await using var machine = await SandboxMachine.CloneAsync(vm.Hypervisor, first, new SandboxOptions("leaving"));
        vm.Templates.Drop(first.Key);
        await machine.Agent.HelloAsync();
        var second = await vm.Templates.GetAsync("leaving", SandboxShape.Default, vm.Guest);
        Assert.NotSame(first, second);
        Assert.True(second.Memory.Sealed);
    }
}
