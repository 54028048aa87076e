// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {TestUsdc} from "../../dev/TestUsdc.sol";
import {BatchChain} from "../../src/chain/BatchChain.sol";
import {IBatchChain} from "../../src/chain/IBatchChain.sol";
import {InsurancePool, PoolTerms} from "../../src/stake/InsurancePool.sol";
import {InsuranceWitness, Shortfall} from "../../src/stake/Shortfall.sol";
import {FeeToken, HookToken} from "../support/HostileTokens.sol";
import {StakeFixture} from "../support/StakeFixture.sol";

contract InsurancePoolTest is StakeFixture {
    uint256 private constant M = 1e6;
    uint64 private _start;

    function setUp() external {
        deployStake();
        _start = uint64(block.timestamp);
    }

    function request(address holder, uint256 shares) private {
        vm.prank(holder);
        pool.requestRedeem(shares);
    }

    function expectMaxRedeem(address holder, uint256 shares) private view {
        vm.assertEq(pool.maxRedeem(holder), shares, "redeemable");
    }

    /// @notice Posts that state as whoever's turn it is.
    function postState(InsuranceWitness memory witness) private returns (uint64) {
        return postRootAs(registry.turnOf(chain.lastNumber() + 1), rootOf(witness));
    }

    function finalState(InsuranceWitness memory witness) private returns (uint64 number) {
        number = postState(witness);
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(number);
    }

    function expectCover(uint64 number, InsuranceWitness memory witness, uint256 expected) private {
        uint256 vault = usdc.balanceOf(address(custody));
        pool.coverShortfall(number, witness);
        vm.assertEq(usdc.balanceOf(address(custody)) - vault, expected, "covered");
    }

    function expectNothing(uint64 number, InsuranceWitness memory witness) private {
        vm.expectRevert(abi.encodeWithSelector(InsurancePool.NothingToCover.selector, number));
        pool.coverShortfall(number, witness);
    }

    function freeze() private {
        vm.prank(ESCAPE);
        custody.freeze();
    }

    // ── deployment ─────────────────────────────────────────────────────────────────────────────────────────────────

    function test_constructorRefuses() external {
        PoolTerms memory terms = poolTermsOf(chain, address(custody));
        terms.cooldownSeconds = WINDOW;
        vm.expectRevert(abi.encodeWithSelector(InsurancePool.CooldownTooShort.selector, WINDOW));
        new InsurancePool(terms);
        terms = poolTermsOf(chain, address(custody));
        terms.redeemSeconds = 0;
        vm.expectRevert(InsurancePool.RedeemPeriodZero.selector);
        new InsurancePool(terms);
        terms = poolTermsOf(chain, address(0));
        vm.expectRevert(InsurancePool.AddressZero.selector);
        new InsurancePool(terms);
        terms = poolTermsOf(BatchChain(address(0)), address(custody));
        vm.expectRevert(InsurancePool.AddressZero.selector);
        new InsurancePool(terms);
        terms = poolTermsOf(chain, address(custody));
        terms.token = IERC20(address(0));
        vm.expectRevert(InsurancePool.AddressZero.selector);
        new InsurancePool(terms);
    }

    function test_deployment() external view {
        vm.assertEq(pool.decimals(), 12);
        vm.assertEq(pool.asset(), address(usdc));
        vm.assertFalse(pool.isHeld());
    }

    // ── shares and cooldown ────────────────────────────────────────────────────────────────────────────────────────

    function test_redemptionNeedsRequestAndWait() external {
        uint256 shares = joinPool(ALICE, 100 * M);
        vm.assertEq(shares, 100 * M * 1e6);
        expectMaxRedeem(ALICE, 0);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxRedeem.selector, ALICE, 1, 0));
        vm.prank(ALICE);
        pool.redeem(1, ALICE, ALICE);
        request(ALICE, shares);
        vm.assertEq(pool.balanceOf(ALICE), 0);
        vm.assertEq(pool.totalSupply(), shares);
        vm.warp(_start + COOLDOWN - 1);
        expectMaxRedeem(ALICE, 0);
        vm.warp(_start + COOLDOWN);
        expectMaxRedeem(ALICE, shares);
        vm.prank(ALICE);
        vm.assertEq(pool.redeem(shares / 2, BOB, ALICE), 50 * M);
        vm.warp(_start + COOLDOWN + REDEEM);
        expectMaxRedeem(ALICE, shares / 2);
        vm.prank(ALICE);
        pool.withdraw(20 * M, ALICE, ALICE);
        vm.warp(_start + COOLDOWN + REDEEM + 1);
        expectMaxRedeem(ALICE, 0);
        vm.assertEq(pool.maxWithdraw(ALICE), 0);
        vm.assertEq(usdc.balanceOf(BOB), 50 * M);
        vm.assertEq(usdc.balanceOf(ALICE), 20 * M);
    }

    function test_expiredRequestsMustBeMadeAgain() external {
        uint256 shares = joinPool(ALICE, 100 * M);
        request(ALICE, shares);
        vm.warp(_start + COOLDOWN + REDEEM + 1);
        request(ALICE, 0);
        vm.warp(block.timestamp + COOLDOWN - 1);
        expectMaxRedeem(ALICE, 0);
        vm.warp(block.timestamp + 1);
        expectMaxRedeem(ALICE, shares);
    }

    function test_addingToARequestWaitsAgain() external {
        uint256 shares = joinPool(ALICE, 100 * M);
        request(ALICE, shares - 1);
        vm.warp(_start + COOLDOWN);
        request(ALICE, 1);
        expectMaxRedeem(ALICE, 0);
        vm.warp(_start + 2 * COOLDOWN);
        expectMaxRedeem(ALICE, shares);
    }

    function test_requestsRefuseAndCancel() external {
        vm.expectRevert(InsurancePool.NoShares.selector);
        request(ALICE, 0);
        vm.expectRevert(InsurancePool.NoShares.selector);
        vm.prank(ALICE);
        pool.cancelRequest();
        uint256 shares = joinPool(ALICE, 100 * M);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, ALICE, shares, shares + 1)
        );
        request(ALICE, shares + 1);
        request(ALICE, shares);
        vm.prank(ALICE);
        pool.cancelRequest();
        vm.assertEq(pool.balanceOf(ALICE), shares);
        vm.warp(_start + COOLDOWN);
        expectMaxRedeem(ALICE, 0);
    }

    /// @notice Shares that carry a ripe request cannot be handed on: a holder cannot keep others' shares redeemable.
    function test_requestsDoNotTravel() external {
        uint256 shares = joinPool(ALICE, 100 * M);
        request(ALICE, shares / 2);
        vm.warp(_start + COOLDOWN);
        vm.prank(ALICE);
        pool.transfer(BOB, shares / 2);
        expectMaxRedeem(BOB, 0);
        expectMaxRedeem(ALICE, shares / 2);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxRedeem.selector, ALICE, shares, shares / 2));
        vm.prank(ALICE);
        pool.redeem(shares, ALICE, ALICE);
    }

    function test_othersNeedAnAllowance() external {
        uint256 shares = joinPool(ALICE, 100 * M);
        request(ALICE, shares);
        vm.warp(_start + COOLDOWN);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, BOB, 0, shares));
        vm.prank(BOB);
        pool.redeem(shares, BOB, ALICE);
        vm.prank(ALICE);
        pool.approve(BOB, shares);
        vm.prank(BOB);
        pool.redeem(shares, BOB, ALICE);
        vm.assertEq(usdc.balanceOf(BOB), 100 * M);
    }

    function test_depositsThatMakeNoShareAreRefused() external {
        vm.expectRevert(InsurancePool.NoShares.selector);
        pool.deposit(0, ALICE);
        vm.expectRevert(InsurancePool.NoShares.selector);
        pool.mint(0, ALICE);
    }

    /// @notice The first depositor inflates the price of a share before the second: he loses far more than he takes.
    function testFuzz_donationAttackLoses(uint256 gift, uint256 victim, uint256 seed) external {
        gift = M + gift % (1e9 * M);
        victim = M + victim % (1e9 * M);
        uint256 first = 1 + seed % M;
        uint256 attackerShares = joinPool(BOB, first);
        usdc.mint(address(pool), gift);
        usdc.mint(ALICE, victim);
        vm.startPrank(ALICE);
        usdc.approve(address(pool), victim);
        uint256 expected = pool.previewDeposit(victim);
        if (expected == 0) {
            vm.expectRevert(InsurancePool.NoShares.selector);
            pool.deposit(victim, ALICE);
            return;
        }
        uint256 shares = pool.deposit(victim, ALICE);
        vm.stopPrank();
        uint256 attackerHas = pool.convertToAssets(attackerShares);
        uint256 victimHas = pool.convertToAssets(shares);
        vm.assertGe(first + gift, attackerHas, "the attack paid");
        // A victim's loss is at most the value of one share: gift / (shares of the attacker + 10^6).
        vm.assertGe(victimHas + (first + gift) / (attackerShares + 1e6) + 2, victim, "victim lost more than one share");
    }

    /// @notice Whatever a holder does with requests, nobody's share is worth more or less by it.
    function testFuzz_cooldownLeavesThePrice(uint256 mine, uint256 theirs, uint256 income, uint256 part) external {
        mine = M + mine % (1e6 * M);
        theirs = M + theirs % (1e6 * M);
        uint256 shares = joinPool(ALICE, mine);
        uint256 others = joinPool(BOB, theirs);
        usdc.mint(address(pool), income % (1e6 * M));
        uint256 price = pool.convertToAssets(others);
        part = 1 + part % shares;
        request(ALICE, part);
        vm.assertEq(pool.convertToAssets(others), price, "after the request");
        vm.prank(ALICE);
        pool.cancelRequest();
        request(ALICE, part);
        vm.warp(block.timestamp + COOLDOWN);
        uint256 expected = pool.previewRedeem(part);
        vm.prank(ALICE);
        vm.assertEq(pool.redeem(part, ALICE, ALICE), expected);
        vm.assertGe(pool.convertToAssets(others), price, "after the redemption");
        // What rounding leaves behind: less than one micro-USDC a redemption.
        vm.assertGe(price + 1, pool.convertToAssets(others), "price rose");
    }

    // ── shortfalls ─────────────────────────────────────────────────────────────────────────────────────────────────

    function test_coverPaysBadDebtBeyondTheInsuranceAccount() external {
        uint256 shares = joinPool(ALICE, 100 * M);
        request(ALICE, shares);
        InsuranceWitness memory witness = insuranceWitness(70 * 1e6, 30 * 1e6, 0);
        uint64 number = finalState(witness);
        vm.expectEmit(address(pool));
        emit InsurancePool.ShortfallCovered(number, 0, 40 * M);
        pool.coverShortfall(number, witness);
        vm.assertEq(usdc.balanceOf(address(custody)), 40 * M);
        vm.assertEq(custody.queueLength(), 1);
        // Shares under the cooldown bear it too.
        vm.warp(block.timestamp + COOLDOWN - WINDOW);
        vm.prank(ALICE);
        vm.assertEq(pool.redeem(shares, ALICE, ALICE), 60 * M);
    }

    function test_negativeInsuranceCashCountsOnce() external {
        joinPool(ALICE, 100 * M);
        InsuranceWitness memory witness = insuranceWitness(15 * 1e6, -5 * 1e6, 0);
        expectCover(finalState(witness), witness, 15 * M);
    }

    function test_noShortfallPaysNothing() external {
        joinPool(ALICE, 100 * M);
        InsuranceWitness memory witness = insuranceWitness(30 * 1e6, 30 * 1e6, 0);
        expectNothing(finalState(witness), witness);
        witness = insuranceWitness(0, 0, 0);
        expectNothing(finalState(witness), witness);
    }

    function test_coverNeedsAFinalRoot() external {
        joinPool(ALICE, 100 * M);
        InsuranceWitness memory witness = insuranceWitness(1, 0, 0);
        uint64 number = postState(witness);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchNotFinal.selector, number));
        pool.coverShortfall(number, witness);
    }

    function test_foreignWitnessesAreRefused() external {
        joinPool(ALICE, 100 * M);
        InsuranceWitness memory right = insuranceWitness(70, 30, 0);
        uint64 number = finalState(right);
        InsuranceWitness memory wrong = insuranceWitness(71, 30, 0);
        expectRefused(number, wrong, Shortfall.StateRootMismatch.selector);
        // Whole, but of another state.
        wrong = insuranceWitness(70, 29, 0);
        expectRefused(number, wrong, Shortfall.StateRootMismatch.selector);
        // The right roots around another cell, another path, another account.
        InsuranceWitness memory poorer = insuranceWitness(70, 29, 0);
        wrong = insuranceWitness(70, 30, 0);
        wrong.cell = poorer.cell;
        expectRefused(number, wrong, Shortfall.AccountsRootMismatch.selector);
        wrong = insuranceWitness(70, 30, 0);
        wrong.path[5] = keccak256("other");
        expectRefused(number, wrong, Shortfall.AccountsRootMismatch.selector);
        wrong = insuranceWitness(70, 30, 0);
        wrong.cell = "treasury";
        expectRefused(number, wrong, Shortfall.AccountsRootMismatch.selector);
        wrong = insuranceWitness(70, 30, 0);
        wrong.cell = bytes.concat(wrong.cell, hex"00");
        expectRefused(number, wrong, Shortfall.AccountsRootMismatch.selector);
        wrong = insuranceWitness(70, 30, 0);
        wrong.path = new bytes32[](23);
        expectRefused(number, wrong, Shortfall.WitnessMalformed.selector);
        wrong = insuranceWitness(70, 30, 0);
        wrong.state.globals = bytes.concat(wrong.state.globals, hex"00");
        expectRefused(number, wrong, Shortfall.WitnessMalformed.selector);
        expectCover(number, right, 40);
    }

    function expectRefused(uint64 number, InsuranceWitness memory witness, bytes4 selector) private {
        vm.expectPartialRevert(selector);
        pool.coverShortfall(number, witness);
    }

    function test_repeatingPaysOnce() external {
        joinPool(ALICE, 100 * M);
        InsuranceWitness memory witness = insuranceWitness(10 * 1e6, 0, 0);
        uint64 number = finalState(witness);
        expectCover(number, witness, 10 * M);
        expectNothing(number, witness);
        // A later state that has not consumed the payment either, and owes 5 more.
        InsuranceWitness memory later = insuranceWitness(15 * 1e6, 0, 0);
        uint64 laterNumber = finalState(later);
        expectCover(laterNumber, later, 5 * M);
        vm.expectRevert(abi.encodeWithSelector(InsurancePool.BatchNotRecent.selector, number));
        pool.coverShortfall(number, witness);
        // One of the two payments consumed: the other still counts as on its way.
        later = insuranceWitness(15 * 1e6, 10 * 1e6, 1);
        expectNothing(finalState(later), later);
        later = insuranceWitness(18 * 1e6, 15 * 1e6, 2);
        expectCover(finalState(later), later, 3 * M);
        vm.assertEq(pool.totalAssets(), 82 * M);
    }

    function test_oldStatesAreRefused() external {
        joinPool(ALICE, 100 * M);
        InsuranceWitness memory witness = insuranceWitness(10 * 1e6, 0, 0);
        uint64 number = finalState(witness);
        for (uint256 i = 0; i < 65; ++i) {
            finalState(insuranceWitness(0, 0, 0));
        }
        vm.expectRevert(abi.encodeWithSelector(InsurancePool.BatchNotRecent.selector, number));
        pool.coverShortfall(number, witness);
    }

    function test_payingAllThereIs() external {
        uint256 shares = joinPool(ALICE, 30 * M);
        InsuranceWitness memory witness = insuranceWitness(100 * 1e6, 0, 0);
        uint64 number = finalState(witness);
        expectCover(number, witness, 30 * M);
        vm.assertEq(pool.totalAssets(), 0);
        vm.assertEq(pool.convertToAssets(shares), 0);
        // Nothing left: the call stands, and pays the rest when there is money again.
        expectCover(number, witness, 0);
        joinPool(BOB, 20 * M);
        expectCover(number, witness, 20 * M);
    }

    // ── holds ──────────────────────────────────────────────────────────────────────────────────────────────────────

    function readyToLeave() private returns (uint256 shares) {
        shares = joinPool(ALICE, 100 * M);
        request(ALICE, shares);
        vm.warp(block.timestamp + COOLDOWN);
    }

    function test_postedShortfallStopsRedemptionsUntilItIsCovered() external {
        uint256 shares = readyToLeave();
        InsuranceWitness memory witness = insuranceWitness(40 * 1e6, 0, 0);
        uint64 number = postState(witness);
        expectMaxRedeem(ALICE, shares);
        vm.prank(CHALLENGER);
        pool.holdForShortfall(number, witness);
        expectMaxRedeem(ALICE, 0);
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(number);
        // Final but not covered: who leaves first must not leave the loss to the others.
        expectMaxRedeem(ALICE, 0);
        expectCover(number, witness, 40 * M);
        expectMaxRedeem(ALICE, shares);
        vm.assertEq(pool.maxWithdraw(ALICE), 60 * M);
    }

    function test_holdEndsWithTheBatch() external {
        uint256 shares = readyToLeave();
        InsuranceWitness memory witness = insuranceWitness(40 * 1e6, 0, 0);
        uint64 number = postState(witness);
        pool.holdForShortfall(number, witness);
        convict(number, CHALLENGER);
        expectMaxRedeem(ALICE, shares);
        vm.assertEq(postState(insuranceWitness(0, 0, 0)), number);
        expectMaxRedeem(ALICE, shares);
    }

    function test_holdEndsWhenALaterStateIsWhole() external {
        uint256 shares = readyToLeave();
        InsuranceWitness memory witness = insuranceWitness(40 * 1e6, 0, 0);
        pool.holdForShortfall(postState(witness), witness);
        InsuranceWitness memory whole = insuranceWitness(0, 0, 0);
        uint64 later = postState(whole);
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(1);
        chain.finalise(2);
        expectMaxRedeem(ALICE, 0);
        expectCover(later, whole, 0);
        expectMaxRedeem(ALICE, shares);
        expectNothing(later, whole);
    }

    function test_holdRefuses() external {
        readyToLeave();
        InsuranceWitness memory whole = insuranceWitness(10, 10, 0);
        uint64 number = postState(whole);
        vm.expectRevert(abi.encodeWithSelector(InsurancePool.NothingToCover.selector, number));
        pool.holdForShortfall(number, whole);
        InsuranceWitness memory witness = insuranceWitness(40 * 1e6, 0, 0);
        vm.expectPartialRevert(Shortfall.StateRootMismatch.selector);
        pool.holdForShortfall(number, witness);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchUnknown.selector, 7));
        pool.holdForShortfall(7, witness);
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(number);
        vm.expectRevert(abi.encodeWithSelector(InsurancePool.BatchNotPending.selector, number));
        pool.holdForShortfall(number, whole);
        // A shortfall whose payment is on its way is no reason to hold.
        uint64 short = finalState(witness);
        expectCover(short, witness, 40 * M);
        uint64 next = postState(witness);
        vm.expectRevert(abi.encodeWithSelector(InsurancePool.NothingToCover.selector, next));
        pool.holdForShortfall(next, witness);
    }

    /// @notice A holder cannot trade the hold for a large shortfall against one for a small earlier one that he covers at once.
    function test_aHoldIsNotExchangedForAnEarlierOne() external {
        readyToLeave();
        InsuranceWitness memory small = insuranceWitness(1, 0, 0);
        InsuranceWitness memory large = insuranceWitness(90 * 1e6, 0, 0);
        uint64 first = postState(small);
        uint64 second = postState(large);
        pool.holdForShortfall(second, large);
        vm.expectRevert(abi.encodeWithSelector(InsurancePool.HeldForLaterBatch.selector, second));
        vm.prank(ALICE);
        pool.holdForShortfall(first, small);
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(first);
        pool.coverShortfall(first, small);
        expectMaxRedeem(ALICE, 0);
    }

    /// @notice What was held for and has been dropped is in no other hold's way.
    function test_aHoldFollowsADrop() external {
        readyToLeave();
        InsuranceWitness memory witness = insuranceWitness(40 * 1e6, 0, 0);
        uint64 first = postState(witness);
        uint64 second = postState(witness);
        pool.holdForShortfall(second, witness);
        convict(second, CHALLENGER);
        pool.holdForShortfall(first, witness);
        expectMaxRedeem(ALICE, 0);
    }

    // ── winding up ─────────────────────────────────────────────────────────────────────────────────────────────────

    function test_frozenVenueIsServedBeforeSharesLeave() external {
        uint256 shares = readyToLeave();
        vm.expectRevert(InsurancePool.VenueNotFrozen.selector);
        vm.prank(ESCAPE);
        pool.coverEscape(1);
        freeze();
        expectMaxRedeem(ALICE, 0);
        vm.assertEq(pool.maxDeposit(BOB), 0);
        vm.assertEq(pool.maxMint(BOB), 0);
        vm.expectRevert(abi.encodeWithSelector(InsurancePool.CallerNotEscape.selector, ALICE));
        vm.prank(ALICE);
        pool.coverEscape(1);
        vm.startPrank(ESCAPE);
        vm.assertEq(pool.coverEscape(30 * M), 30 * M);
        vm.stopPrank();
        vm.assertEq(usdc.balanceOf(address(custody)), 30 * M);
        expectMaxRedeem(ALICE, shares);
        vm.prank(ALICE);
        vm.assertEq(pool.redeem(shares, ALICE, ALICE), 70 * M);
        vm.prank(ESCAPE);
        vm.assertEq(pool.coverEscape(1_000 * M), 0);
    }

    function test_neverHeldForEver() external {
        uint256 shares = joinPool(ALICE, 100 * M);
        vm.expectRevert(InsurancePool.VenueNotFrozen.selector);
        pool.noteFreeze();
        freeze();
        pool.noteFreeze();
        vm.expectRevert(InsurancePool.FreezeAlreadyNoted.selector);
        pool.noteFreeze();
        vm.warp(_start + 180 days - COOLDOWN);
        request(ALICE, shares);
        vm.warp(_start + 180 days - 1);
        expectMaxRedeem(ALICE, 0);
        vm.warp(_start + 180 days);
        expectMaxRedeem(ALICE, shares);
    }

    // ── hostile tokens ─────────────────────────────────────────────────────────────────────────────────────────────

    function test_feeTokenIsRefused() external {
        deployStakeWith(new FeeToken());
        usdc.mint(ALICE, 1_000);
        vm.startPrank(ALICE);
        usdc.approve(address(pool), 1_000);
        vm.expectRevert(abi.encodeWithSelector(InsurancePool.DepositMismatch.selector, 990, 1_000));
        pool.deposit(1_000, ALICE);
        vm.stopPrank();
    }

    function test_reentrancyIsRefused() external {
        HookToken hook = new HookToken();
        deployStakeWith(hook);
        uint256 shares = joinPool(ALICE, 100 * M);
        request(ALICE, shares);
        vm.warp(block.timestamp + COOLDOWN);
        InsuranceWitness memory witness = insuranceWitness(1, 0, 0);
        bytes[6] memory calls = [
            abi.encodeCall(InsurancePool.redeem, (1, ALICE, ALICE)),
            abi.encodeCall(InsurancePool.withdraw, (1, ALICE, ALICE)),
            abi.encodeCall(InsurancePool.deposit, (1, ALICE)),
            abi.encodeCall(InsurancePool.requestRedeem, (1)),
            abi.encodeCall(InsurancePool.cancelRequest, ()),
            abi.encodeCall(InsurancePool.coverShortfall, (0, witness))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            hook.arm(address(pool), calls[i]);
            vm.prank(ALICE);
            pool.redeem(1e6, ALICE, ALICE);
            vm.assertTrue(hook.called());
            vm.assertFalse(hook.succeeded());
            vm.assertEq(hook.answer(), abi.encodePacked(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector));
        }
    }
}
